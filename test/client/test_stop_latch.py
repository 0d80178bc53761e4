"""The emergency stop as a program hears it: whatever is in doubt is a stop."""

from smolfusion_ros.client.stop import StopLatch


def test_a_press_counts_at_once_and_a_release_only_from_who_held_it() -> None:
    latch = StopLatch()
    assert not latch.engaged
    assert latch.on_press(True)
    assert latch.engaged
    assert not latch.on_press(False)
    assert latch.engaged
    assert not latch.on_told(True)
    assert latch.on_told(False)
    assert not latch.engaged


def test_a_dialogue_that_did_not_hear_the_press_does_not_release_it() -> None:
    latch = StopLatch()
    latch.on_press(True)
    assert not latch.on_told(False)
    assert latch.engaged
    latch.on_told(True)
    latch.on_told(False)
    assert not latch.engaged


def test_presses_while_it_is_held_do_not_outlive_the_reset() -> None:
    latch = StopLatch()
    assert latch.on_told(True)
    assert not latch.on_press(True)
    assert latch.on_told(False)
    assert not latch.engaged


def test_it_is_told_only_when_it_changes() -> None:
    latch = StopLatch()
    assert not latch.on_told(False)
    assert latch.on_told(True)
    assert not latch.on_told(True)
