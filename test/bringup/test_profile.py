import dataclasses
from pathlib import Path

import pytest

from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.bringup.profile import BackendProfile, load_profile
from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.llama.manifest import load_manifest

GOOD_VLM = "vlm: {model: toy}"


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", ["embedded", "orin_nx", "agx_orin", "server"])
def test_shipped_profile_loads_and_its_models_are_in_the_manifest(name: str):
    profile = load_profile(name)
    manifest = load_manifest(manifest_path())
    for backend in (profile.llm, profile.vlm):
        if not backend.is_remote:
            assert manifest.entry(backend.model).licence
    assert profile.speech is not None
    assert all(manifest.entry(name).licence for name in profile.speech.models)
    if not profile.vlm.is_remote:
        assert manifest.entry(profile.vlm.model).mmproj is not None


def test_local_profiles_listen_on_loopback_at_the_documented_ports():
    for name in ("embedded", "orin_nx", "agx_orin"):
        profile = load_profile(name)
        assert profile.llm.url == "http://127.0.0.1:8080"
        assert profile.vlm.url == "http://127.0.0.1:8081"


def test_jetson_profiles_bound_image_tokens_and_turn_thinking_off():
    for name in ("orin_nx", "agx_orin"):
        profile = load_profile(name)
        assert profile.vlm.image_max_tokens == 64
        assert profile.llm.chat_format == "chatml-no-think"
        assert profile.llm.cache_ram_mib <= 1024


def test_server_profile_starts_nothing():
    profile = load_profile("server")
    assert profile.llm.is_remote and profile.vlm.is_remote
    assert profile.llm.served_model


def test_unknown_profile_is_answered_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"no profile 'orin'.*agx_orin, embedded, orin_nx, server"):
        load_profile("orin")


def test_role_left_out_takes_defaults_fit_for_any_computer(tmp_path: Path):
    profile = load_profile(write(tmp_path / "p.yaml", f"llm: {{model: toy}}\n{GOOD_VLM}"))
    assert (profile.name, profile.llm.port, profile.vlm.port) == ("p", 8080, 8081)
    assert (profile.llm.host, profile.llm.gpu_layers) == ("127.0.0.1", 0)


@pytest.mark.parametrize(
    ("llm", "message"),
    [
        ("{model: toy, thread: 2}", "unknown key thread = 2"),
        ("{model: toy, threads: 0}", r"threads = 0 is not within 1\.\.256"),
        ("{model: toy, threads: two}", "threads = 'two' is not a whole number"),
        ("{model: toy, threads: 1.5}", "threads = 1.5 is not a whole number"),
        ("{model: toy, slots: true}", "slots = True is not a whole number"),
        ("{model: toy, gpu_layers: -1}", "gpu_layers = -1 is not within"),
        ("{model: toy, port: 70000}", "port = 70000 is not within"),
        ("{model: toy, host: 5}", "host = 5 is not text"),
        ("{model: toy, provider: ollama}", "provider = 'ollama' is none of auto"),
        ("{model: toy, prompt_examples: 'yes'}", "prompt_examples = 'yes' is neither true nor false"),
        ("{model: toy, chat_format: llama}", "chat_format = 'llama' is none of"),
        ("{model: toy, batch_tokens: 32, ubatch_tokens: 64}", "ubatch_tokens = 64 is more than batch_tokens = 32"),
        ("{model: toy, questions: json}", "questions = 'json' belongs to vlm"),
        ("{model: toy, image_max_tokens: 64}", "image_max_tokens = 64 belongs to vlm"),
        ("{model: toy, url: 'http://other:1'}", "url = 'http://other:1' needs provider = remote"),
        ("{model: toy, api_key_file: /k}", "api_key_file = '/k' needs provider = remote"),
        ("{threads: 2}", "model = '' names no model"),
        ("{provider: remote}", "url = '' is not the"),
        ("{provider: remote, url: 'llm.local:80'}", "url = 'llm.local:80' is not the"),
        ("[toy]", "expected a mapping"),
    ],
)  # fmt: skip
def test_nonsense_is_named_with_file_role_key_and_value(tmp_path: Path, llm: str, message: str):
    path = write(tmp_path / "mine.yaml", f"llm: {llm}\n{GOOD_VLM}")
    with pytest.raises(ConfigurationError, match=rf"mine\.yaml: llm: {message}"):
        load_profile(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("llm: {model: toy}", "vlm: expected a mapping, found None"),
        (f"llm: {{model: toy}}\n{GOOD_VLM}\nasr: {{}}", "unknown key asr"),
        ("llm: {model: toy, port: 8081}\nvlm: {model: toy}", "vlm.port = 8081 is the port of llm too"),
        ("llm: {", "cannot be read"),
        ("- llm", "expected a mapping"),
    ],
)
def test_wrong_shape_is_named_with_the_file(tmp_path: Path, text: str, message: str):
    with pytest.raises(ConfigurationError, match=rf"mine\.yaml:? {message}"):
        load_profile(write(tmp_path / "mine.yaml", text))


@pytest.mark.parametrize(("word", "value"), [("on", "on"), ("off", "off"), ("auto", "auto"), ("'on'", "on")])
def test_flash_attention_is_read_bare_though_yaml_makes_truth_values_of_it(tmp_path: Path, word: str, value: str):
    path = write(tmp_path / "p.yaml", f"llm: {{model: toy, flash_attention: {word}}}\n{GOOD_VLM}")
    assert load_profile(path).llm.flash_attention == value


def test_url_follows_another_port_and_points_to_loopback_for_a_server_on_every_interface():
    backend = dataclasses.replace(BackendProfile(model="toy"), host="0.0.0.0", port=9000)
    assert backend.url == "http://127.0.0.1:9000"
    assert BackendProfile(model="toy", host="::1").url == "http://[::1]:8080"


def test_backends_can_be_put_on_other_ports():
    moved = load_profile("embedded").on_ports(llm=9080)
    assert (moved.llm.port, moved.llm.url, moved.vlm.port) == (9080, "http://127.0.0.1:9080", 8081)
    with pytest.raises(ConfigurationError, match=r"vlm\.port = 9080"):
        moved.on_ports(vlm=9080)


def test_backend_that_runs_elsewhere_has_no_port_here():
    with pytest.raises(ConfigurationError, match="llm_port 9080: profile server takes its llm from http"):
        load_profile("server").on_ports(llm=9080)


def test_profile_without_speech_neither_hears_nor_speaks(tmp_path: Path):
    assert load_profile(write(tmp_path / "p.yaml", f"llm: {{model: toy}}\n{GOOD_VLM}")).speech is None


@pytest.mark.parametrize(
    ("speech", "message"),
    [
        ("{engine: ear}", "speech: engine = 'ear' is none of whisper, vosk"),
        ("{threads: 0}", "speech: threads = 0 is not within 1..16"),
        ("{voice: piper}", "speech: voice = 'piper' needs voice_model"),
        ("{model: 3}", "speech: model = 3 is not text"),
        ("{speed: 3}", "speech: unknown key speed = 3"),
        ("loud", "speech: expected a mapping, found 'loud'"),
    ],
)
def test_nonsense_about_speech_is_named(tmp_path: Path, speech: str, message: str):
    path = write(tmp_path / "p.yaml", f"llm: {{model: toy}}\n{GOOD_VLM}\nspeech: {speech}")
    with pytest.raises(ConfigurationError, match=message):
        load_profile(path)
