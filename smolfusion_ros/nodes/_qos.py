"""Quality of service of every topic, so that publishers and subscribers agree."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

# Cameras: the newest frame or none. A reliable subscriber would never hear a best-effort camera.
SENSOR = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)
# Latched: a perception that starts again sees what is there, however long nothing moves.
KEYFRAME = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# The newest value reaches those that come later.
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# An emergency stop is heard from every kind of publisher: one that latches its state, also by who comes later; an
# ordinary one, reliably; and one that is best effort.
STOPS = (
    QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL),
    QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE),
    QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT),
)
TURN = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
COMMAND = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
UTTERANCE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
REPLY = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
# Requests that many people make at once: of more than ten, which is a service's default, the rest would be lost unseen.
REQUESTS = QoSProfile(depth=256, reliability=ReliabilityPolicy.RELIABLE)
PERFORMANCE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# Sound: two seconds of it in pieces of 20 ms may wait.
AUDIO = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
