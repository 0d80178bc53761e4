"""Where a file of a Hugging Face repository is, by huggingface_hub.

It honours HF_ENDPOINT, HF_TOKEN (or the login of ``hf auth login``), HF_HUB_OFFLINE and the proxies of the environment.
"""

import os
import re

from smolfusion_ros.errors import ModelError, ModelMissingError
from smolfusion_ros.llama.download import Source

SHA256 = re.compile(r"[0-9a-f]{64}")


def locate(repository: str, revision: str, path: str) -> Source:
    """Ask the Hub for a file: its commit, size and, of every large file, SHA-256. Nothing is downloaded yet.

    repository: ``owner/name``; revision: branch, tag or commit; path: in the repository.
    Raises ModelMissingError (offline, not there, not allowed) or ModelError (huggingface_hub is not installed).
    """
    # Once a day it would tell its makers who asks.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        # Here and not above: it takes a while to import, and a robot that has its files needs none of it.
        from huggingface_hub import constants, get_hf_file_metadata, get_token, hf_hub_url
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            HfHubHTTPError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as error:
        raise ModelError(f"models of the Hugging Face Hub need: pip install huggingface_hub ({error})") from error
    name = f"hub:{repository}@{revision}/{path}"
    try:
        file = get_hf_file_metadata(hf_hub_url(repository, path, revision=revision))
    except OfflineModeIsEnabled:
        raise ModelMissingError(f"{name} cannot be downloaded: HF_HUB_OFFLINE is set. Unset it") from None
    except GatedRepoError as error:
        page = f"{constants.ENDPOINT}/{repository}"
        raise ModelMissingError(
            f"{name} is gated: accept its terms on {page}, then `hf auth login` or set HF_TOKEN"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelMissingError(
            f"{name}: there is no such repository, or it is private. Correct `hub` in the manifest, or "
            "`hf auth login` or set HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelMissingError(f"{name}: there is no such revision. Correct `revision` in the manifest") from error
    except EntryNotFoundError as error:
        raise ModelMissingError(f"{name}: the repository has no such file. Correct it in the manifest") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = "is HF_TOKEN right?" if status in (401, 403) else "try again later"
        raise ModelMissingError(
            f"{name} cannot be downloaded: {constants.ENDPOINT} answers {status}, {remedy}"
        ) from error
    # Whatever its HTTP library raises: that is httpx in huggingface_hub 1, httpx2 in 2.
    except Exception as error:
        raise ModelMissingError(
            f"{name} cannot be downloaded ({type(error).__name__}: {error}). Is there internet? "
            "HTTPS_PROXY sets a proxy, HF_ENDPOINT a mirror"
        ) from error
    if file.commit_hash is None or file.etag is None:
        raise ModelMissingError(
            f"{name} cannot be downloaded: {constants.ENDPOINT} does not answer as the Hub does. "
            "A login page of the network? A wrong HF_ENDPOINT?"
        )
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    return Source(
        name=name,
        # By commit, so that pieces fetched hours apart are of one file; the Hub redirects to where its bytes are.
        url=hf_hub_url(repository, path, revision=file.commit_hash),
        size=file.size,
        sha256=file.etag if SHA256.fullmatch(file.etag) else None,
        version=f"{repository}/{path} {file.etag}",
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )
