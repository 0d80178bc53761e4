"""The stack's description: which processes a profile and a person's choices come to."""

from pathlib import Path
from typing import Any

import pytest

from smolfusion_ros.bringup.profile import Profile, load_profile
from smolfusion_ros.bringup.stack import (
    NODES,
    SPEECH_NODES,
    Options,
    Process,
    camera_environment,
    describe,
    plan,
    remappings,
)
from smolfusion_ros.errors import ConfigurationError


@pytest.fixture
def embedded() -> Profile:
    return load_profile("embedded")


SILENT_NODES = tuple(name for name in NODES if name not in SPEECH_NODES)


def processes(profile: Profile, **options: Any) -> dict[str, Process]:
    return {process.name: process for process in describe(profile, profile.name, Options(**options))}


def test_embedded_profile_starts_two_backends_and_then_every_node(embedded: Profile):
    described = describe(embedded, "embedded", Options())
    assert [process.name for process in described] == ["llm_backend", "vlm_backend", *SILENT_NODES]
    assert [process.is_node for process in described] == [False, False, *[True] * len(SILENT_NODES)]
    assert [process.arguments for process in described[:2]] == [
        ("--role", "llm", "--profile", "embedded", "--port", "8080"),
        ("--role", "vlm", "--profile", "embedded", "--port", "8081"),
    ]
    assert all(process.executable == "backend" and not process.parameters for process in described[:2])
    assert all(process.executable == process.name for process in described[2:])


def test_server_profile_starts_nodes_only_and_points_them_at_its_addresses():
    server = load_profile("server")
    described = processes(server)
    assert tuple(described) == SILENT_NODES
    assert described["dialogue"].parameters["llm_url"] == "http://llm.local:8000"
    assert described["dialogue"].parameters["llm_model"] == "Qwen/Qwen3-1.7B"
    assert described["perception"].parameters["vlm_url"] == "http://vlm.local:8001"
    assert described["perception"].parameters["vlm_model"] == "HuggingFaceTB/SmolVLM-500M-Instruct"


@pytest.mark.parametrize("name", ["embedded", "orin_nx", "agx_orin", "server"])
def test_nodes_are_told_what_their_profile_says(name: str):
    profile = load_profile(name)
    described = processes(profile)
    dialogue = described["dialogue"].parameters
    assert dialogue["llm_url"] == profile.llm.url
    assert dialogue["chat_format"] == profile.llm.chat_format
    assert dialogue["prompt_examples"] == profile.llm.prompt_examples
    assert dialogue["concurrency"] == profile.llm.slots
    assert described["perception"].parameters["vlm_url"] == profile.vlm.url
    assert described["perception"].parameters["questions"] == profile.vlm.questions
    assert 256 <= dialogue["max_history_tokens"] < profile.llm.context_tokens
    assert described["memory"].parameters["max_tokens"] >= dialogue["max_history_tokens"]


def test_key_of_a_remote_engine_is_looked_for_before_anything_starts(tmp_path: Path):
    remote = "{provider: remote, url: 'http://engine:8000', api_key_file: KEY}"
    profile, key = tmp_path / "mine.yaml", tmp_path / "key"
    profile.write_text(f"llm: {remote}\nvlm: {remote}\n".replace("KEY", str(key)))
    with pytest.raises(ConfigurationError, match=f"llm: api_key_file {key} cannot be read: No such file"):
        plan(str(profile), Options())
    key.write_text("sk-5up3r")
    key.chmod(0o600)
    planned = {process.name: process.parameters for process in plan(str(profile), Options())}
    assert planned["dialogue"]["llm_key_file"] == planned["perception"]["vlm_key_file"] == str(key)
    assert "sk-5up3r" not in str(planned)


def test_local_backends_serve_under_the_default_name(embedded: Profile):
    described = processes(embedded)
    assert described["dialogue"].parameters["llm_model"] == "default"
    assert described["perception"].parameters["vlm_model"] == "default"


def test_backends_that_run_already_are_not_started(embedded: Profile):
    assert tuple(processes(embedded, start_backends=False)) == SILENT_NODES


def test_one_remote_backend_leaves_the_other_to_be_started(tmp_path: Path):
    path = tmp_path / "mixed.yaml"
    path.write_text("llm: {provider: remote, url: 'http://llm.local:8000'}\nvlm: {model: tiny-smolvlm}\n")
    described = describe(load_profile(str(path)), str(path), Options())
    assert [process.name for process in described if not process.is_node] == ["vlm_backend"]
    assert described[0].arguments == ("--role", "vlm", "--profile", str(path), "--port", "8081")


def test_preferred_provider_is_handed_to_the_backends(embedded: Profile):
    described = processes(embedded, provider="llama-cpp-python")
    for role in ("llm", "vlm"):
        assert described[f"{role}_backend"].arguments[-2:] == ("--provider", "llama-cpp-python")


def test_chosen_nodes_start_in_their_usual_order(embedded: Profile):
    described = processes(embedded, nodes=("memory", "motion_gate"), start_backends=False)
    assert tuple(described) == ("motion_gate", "memory")


def test_no_node_at_all_may_be_chosen(embedded: Profile):
    assert tuple(processes(embedded, nodes=())) == ("llm_backend", "vlm_backend")


def test_video_is_published_by_a_node_of_its_own(embedded: Profile):
    described = processes(embedded, video="rendered:visit")
    assert described["video_source"].parameters == {"source": "rendered:visit"}
    assert described["video_source"].is_node
    assert "video_source" not in processes(embedded)


def test_only_the_sender_of_frames_pays_for_their_shared_memory(embedded: Profile):
    described = processes(embedded, video="rendered:visit")
    assert [name for name, process in described.items() if process.environment] == ["video_source"]


def test_default_image_topic_needs_no_remapping(embedded: Profile):
    assert not any(process.remappings for process in processes(embedded, video="0").values())


def test_cameras_topic_is_remapped_for_who_takes_or_gives_frames(embedded: Profile):
    described = processes(embedded, image_topic="/camera/image_raw", image_transport="compressed", video="0")
    assert described["motion_gate"].remappings == (
        ("image", "/camera/image_raw"),
        ("image/compressed", "/camera/image_raw/compressed"),
    )
    assert described["motion_gate"].parameters == {"image_transport": "compressed"}
    assert described["video_source"].remappings == (("image", "/camera/image_raw"),)
    others = set(described) - {"motion_gate", "video_source"}
    assert not any(described[name].remappings for name in others)


def test_every_robot_of_a_machine_has_ports_of_its_own(embedded: Profile):
    described = processes(embedded.on_ports(llm=9080, vlm=9081))
    assert described["llm_backend"].arguments[-2:] == ("--port", "9080")
    assert described["vlm_backend"].arguments[-2:] == ("--port", "9081")
    assert described["dialogue"].parameters["llm_url"] == "http://127.0.0.1:9080"
    assert described["perception"].parameters["vlm_url"] == "http://127.0.0.1:9081"
    assert described["monitor"].parameters["llm_url"] == "http://127.0.0.1:9080"


def test_http_interface_is_told_its_port_and_whom_to_miss(embedded: Profile):
    described = processes(embedded, gateway_port=9000, video="0", nodes=("dialogue", "gateway"))
    assert described["gateway"].parameters == {"port": 9000, "nodes": "video_source,dialogue"}


def test_http_interface_can_be_left_out(embedded: Profile):
    described = processes(embedded, gateway=False)
    assert "gateway" not in described
    expected = ",".join(each for each in SILENT_NODES if each != "gateway")
    assert described["monitor"].parameters["nodes"] == expected


def test_nobody_is_listened_to_unless_it_is_asked_for(embedded: Profile):
    assert not set(SPEECH_NODES) & set(processes(embedded))
    described = processes(embedded, voice=True, sound="topic")
    assert described["listener"].parameters == {
        "source": "topic",
        "engine": "whisper",
        "model": "whisper-tiny.en",
        "language": "en",
        "threads": 1,
        "autostart": True,
    }
    assert described["speaker"].parameters["output"] == "topic"
    assert {"listener", "speaker"} <= set(str(described["monitor"].parameters["nodes"]).split(","))


def test_voice_can_be_without_ears(embedded: Profile):
    described = processes(embedded, voice=True, nodes=("dialogue", "speaker"))
    assert "speaker" in described and "listener" not in described


def test_remappings_reach_every_node(embedded: Profile):
    described = processes(embedded, remap=remappings("utterance:=/asr/text, turn:=/log/turn"), image_topic="/camera")
    assert described["dialogue"].remappings == (("utterance", "/asr/text"), ("turn", "/log/turn"))
    assert described["motion_gate"].remappings[-1] == ("turn", "/log/turn")
    assert described["motion_gate"].remappings[0] == ("image", "/camera")


@pytest.mark.parametrize("text", ["utterance", "utterance=/asr", ":=/asr", "utterance:="])
def test_remapping_of_another_form_is_refused(text: str):
    with pytest.raises(ConfigurationError, match="from:=to"):
        remappings(text)


def test_managed_nodes_wait_where_autostart_is_off(embedded: Profile):
    described = processes(embedded, autostart=False)
    assert {name for name, each in described.items() if each.parameters.get("autostart") is False} == {
        "perception",
        "dialogue",
    }


def test_monitor_knows_which_nodes_to_miss(embedded: Profile):
    described = processes(embedded, nodes=("memory", "monitor"), video="0")
    assert described["monitor"].parameters["nodes"] == "video_source,memory,monitor"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"nodes": ("motion_gate", "motor")}, "unknown node 'motor'; there are motion_gate, "),
        ({"nodes": ("video_source",)}, "unknown node 'video_source'"),
        ({"log_level": "loud"}, "log level 'loud' is not one of debug"),
        ({"namespace": "/1robot"}, "namespace '/1robot' is no ROS name"),
        ({"image_topic": "/camera image"}, "image topic '/camera image' is no ROS name"),
        ({"remap": (("chat", "/heard chat"),)}, "name to remap '/heard chat' is no ROS name"),
        ({"llm_port": 70000}, "llm_port 70000 is not a port"),
        ({"vlm_port": -1}, "vlm_port -1 is not a port"),
        ({"sound": "radio"}, "sound 'radio' is not one of device, topic"),
        ({"gateway_port": 0}, "gateway_port 0 is not a port"),
    ],
)
def test_choice_that_cannot_be_is_refused(options: dict[str, Any], reason: str):
    with pytest.raises(ConfigurationError, match=reason):
        Options(**options)


@pytest.mark.parametrize(
    ("distribution", "variable"),
    [
        ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_dds_is_given_room_for_camera_frames(monkeypatch: pytest.MonkeyPatch, distribution: str, variable: str):
    monkeypatch.setenv("ROS_DISTRO", distribution)
    monkeypatch.delenv(variable, raising=False)
    ((name, file),) = camera_environment().items()
    assert name == variable
    assert "<profiles" in Path(file).read_text()
    monkeypatch.setenv(variable, "/my/own.xml")
    assert camera_environment() == {variable: "/my/own.xml"}
