"""Whether the model files of a profile are there, asked before anything is started."""

from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.bringup.profile import ROLES, Profile
from smolfusion_ros.llama.manifest import load_manifest


def check_models(profile: Profile) -> None:
    """Fail once, before the start, rather than in every restart of a backend.

    Raises:
        ModelError: a file is missing or damaged; tells how to get it.
    """
    manifest = load_manifest(manifest_path())
    for role in ROLES:
        backend = profile.backend(role)
        if not backend.is_remote:
            manifest.resolve(backend.model, role)
