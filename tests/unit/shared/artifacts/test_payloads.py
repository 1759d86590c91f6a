"""Large values of orchestrations become tokens that only this store makes, and come back as they were."""

from pathlib import Path

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.payload import deexternalize_payloads_async, externalize_payloads_async
from google.protobuf.wrappers_pb2 import StringValue

from shared.artifacts.files import FileArtifacts
from shared.artifacts.payloads import THRESHOLD_BYTES, ArtifactPayloads
from shared.errors import NotFound


@pytest.fixture
def payloads(tmp_path: Path) -> ArtifactPayloads:
    return ArtifactPayloads(FileArtifacts(tmp_path))


@pytest.mark.parametrize("text", ['"short"', '"' + "ä" * THRESHOLD_BYTES + '"'], ids=["short", "long"])
async def test_the_sdk_gets_back_what_it_handed_over(payloads: ArtifactPayloads, text: str) -> None:
    message = pb.ActivityResponse(result=StringValue(value=text))
    await externalize_payloads_async(message, payloads, instance_id="run-1")
    assert len(message.result.value) <= THRESHOLD_BYTES
    assert payloads.is_known_token(message.result.value) == (len(text.encode()) > THRESHOLD_BYTES)
    await deexternalize_payloads_async(message, payloads)
    assert message.result.value == text


async def test_a_payload_belongs_to_the_run_whose_orchestration_it_is_of(payloads: ArtifactPayloads) -> None:
    assert (await payloads.upload_async(b"{}", instance_id="run-1")).startswith("artifact:run-1/sha256:")


@pytest.mark.parametrize("value", ["", "null", '"artifact:x"', "artifact:", "artifact:../x/sha256:" + "0" * 64])
def test_no_other_text_is_taken_for_a_token(payloads: ArtifactPayloads, value: str) -> None:
    assert not payloads.is_known_token(value)


async def test_a_token_whose_artifact_is_gone_is_an_error(payloads: ArtifactPayloads) -> None:
    with pytest.raises(NotFound):
        await payloads.download_async("artifact:run-1/sha256:" + "0" * 64)


def test_what_blocks_is_refused(payloads: ArtifactPayloads) -> None:
    with pytest.raises(TypeError, match="async"):
        payloads.upload(b"{}")
    with pytest.raises(TypeError, match="async"):
        payloads.download("artifact:run-1/sha256:" + "0" * 64)
