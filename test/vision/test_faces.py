"""Face detection with what OpenCV carries."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from smolfusion_ros.errors import ConfigurationError, FrameError
from smolfusion_ros.vision import faces
from smolfusion_ros.vision.faces import Face, FaceDetector

PORTRAIT = Path(__file__).parents[1] / "data" / "face.jpg"


@pytest.fixture
def portrait() -> np.ndarray:
    return cv2.imread(str(PORTRAIT))


def covers(face: Face, x: float, y: float) -> bool:
    return face.x < x < face.x + face.width and face.y < y < face.y + face.height


def test_a_smiling_portrait_is_one_smiling_face(portrait):
    found = FaceDetector().detect(portrait)
    assert len(found) == 1
    assert covers(found[0], 128, 114)
    assert 60 < found[0].width < 160
    assert found[0].smiling is True
    assert 0.0 < found[0].score <= 1.0


def test_boxes_are_in_pixels_of_the_frame_given(portrait):
    scene = np.full((480, 960, 3), 120, np.uint8)
    scene[100:356, 650:906] = portrait
    found = FaceDetector(max_width_px=640).detect(scene)
    assert len(found) == 1
    assert covers(found[0], 650 + 128, 100 + 114)
    assert found[0].x + found[0].width <= 960


def test_an_empty_room_has_no_face():
    assert FaceDetector().detect(np.full((240, 320, 3), 130, np.uint8)) == []


def test_larger_faces_come_first(portrait):
    scene = np.full((256, 512, 3), 120, np.uint8)
    scene[:150, :150] = cv2.resize(portrait, (150, 150))
    scene[:, 256:] = portrait
    found = FaceDetector(max_width_px=512).detect(scene)
    assert [covers(found[0], 384, 114), covers(found[1], 75, 67)] == [True, True]


def test_without_a_smile_cascade_the_smile_is_unknown(portrait, monkeypatch):
    monkeypatch.setattr(faces, "_SMILE", "not_there.xml")
    assert FaceDetector().detect(portrait)[0].smiling is None


def test_missing_cascades_are_a_configuration_error(monkeypatch):
    monkeypatch.setattr(faces, "_cascade_folders", lambda: [Path("/nowhere")])
    with pytest.raises(ConfigurationError, match="opencv-data"):
        FaceDetector()


def test_a_missing_or_wrong_model_file_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationError, match="not there"):
        FaceDetector(tmp_path / "yunet.onnx")
    (tmp_path / "yunet.onnx").write_bytes(b"no model")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        FaceDetector(tmp_path / "yunet.onnx")


def test_what_is_no_frame_is_refused():
    with pytest.raises(FrameError):
        FaceDetector().detect(np.zeros((10, 10), np.uint8))
