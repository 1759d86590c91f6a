"""What an artifact store guarantees: the same bytes back, or a clear error; nothing outside the run's own folder."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable

import pytest

from shared.artifacts.store import CHUNK_BYTES, MAX_ARTIFACT_BYTES, ArtifactStore, folder_of
from shared.errors import ArtifactCorrupted, ArtifactTooLarge, InvalidRequest, NotFound
from tests.contract.artifacts.conftest import Kept

pytestmark = pytest.mark.asyncio(loop_scope="package")

RUN = "run-1"
CONTENTS = [b"", b"# Title\n", "Grüße 世界".encode(), bytes(range(256)) * 10, b"x" * 3_000_000]
RUNS = ["run/../1", "..", ".", "läuft", "a b", "%2E%2E", "x" * 100, "~!$&'()*+,;=@" * 7, "Run", "con"]


async def streamed(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def drained(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: f"{len(content)} bytes")
async def test_what_is_put_is_what_is_got(store: ArtifactStore, content: bytes) -> None:
    kept = await store.put(content, "text/markdown", run=RUN)
    assert await store.get(kept.address) == content
    assert await drained(store.open(kept.address)) == content
    assert (kept.size, kept.content_type) == (len(content), "text/markdown")


async def test_the_address_is_the_run_and_the_hash_of_the_content(store: ArtifactStore) -> None:
    kept = await store.put(b"tides", "text/plain", run=RUN)
    assert kept.address == "run-1/sha256:" + hashlib.sha256(b"tides").hexdigest()


async def test_the_reference_says_where_a_person_finds_it(store: ArtifactStore) -> None:
    location = (await store.put(b"tides", "text/plain", run=RUN)).location
    assert location.partition(":")[0] in ("file", "http", "https")
    assert "AccountKey" not in location


async def test_putting_the_same_twice_is_putting_it_once(store: ArtifactStore) -> None:
    first = await store.put(b"tides", "text/plain", run=RUN)
    assert await store.put(b"tides", "text/plain", run=RUN) == first
    assert await store.delete_run(RUN) == 1


async def test_different_contents_are_different_artifacts(store: ArtifactStore) -> None:
    one, two = await store.put(b"one", "text/plain", run=RUN), await store.put(b"two", "text/plain", run=RUN)
    assert [await store.get(one.address), await store.get(two.address)] == [b"one", b"two"]


async def test_many_that_put_the_same_at_once_all_succeed_and_the_content_is_whole(store: ArtifactStore) -> None:
    content = b"tides " * 50_000
    kept = await asyncio.gather(*(store.put(content, "text/plain", run=RUN) for _ in range(25)))
    assert len({reference.address for reference in kept}) == 1
    assert await store.get(kept[0].address) == content


async def test_readers_never_see_half_of_what_is_being_put(store: ArtifactStore) -> None:
    content = b"tides " * 200_000
    address = "run-1/sha256:" + hashlib.sha256(content).hexdigest()
    putting = asyncio.create_task(store.put(content, "text/plain", run=RUN))
    while not putting.done():
        try:
            assert await store.get(address) == content
        except NotFound:
            await asyncio.sleep(0)
    assert await store.get(address) == content


# -- streams ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[], [b""], [b"a", b"", b"b"], [b"x" * 999_999] * 9], ids=["0", "1", "3", "9"])
async def test_what_is_put_in_pieces_is_the_artifact_that_the_whole_would_be(
    store: ArtifactStore, pieces: list[bytes]
) -> None:
    kept = await store.put_stream(streamed(pieces), "text/plain", run=RUN)
    assert kept == await store.put(b"".join(pieces), "text/plain", run=RUN)
    assert await store.get(kept.address) == b"".join(pieces)


async def test_twenty_megabytes_come_back_whole_and_in_pieces(store: ArtifactStore) -> None:
    pieces = [bytes([number]) * CHUNK_BYTES for number in range(20)]
    kept = await store.put_stream(streamed(pieces), "text/markdown", run=RUN)
    assert kept.size == 20 * CHUNK_BYTES
    sizes, digest = [], hashlib.sha256()
    async for chunk in store.open(kept.address):
        sizes.append(len(chunk))
        digest.update(chunk)
    assert kept.address.endswith(digest.hexdigest())
    assert max(sizes) <= 4 * CHUNK_BYTES


async def test_a_stream_that_breaks_off_leaves_nothing_behind(store: ArtifactStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError("the other side is gone")

    with pytest.raises(ConnectionError):
        await store.put_stream(broken(), "text/plain", run=RUN)
    assert await store.delete_run(RUN) == 0


async def test_a_stream_over_the_limit_is_refused_as_soon_as_it_is(store: ArtifactStore) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        piece = b"\0" * (64 * CHUNK_BYTES)
        while True:
            taken += len(piece)
            yield piece

    with pytest.raises(ArtifactTooLarge, match=str(MAX_ARTIFACT_BYTES)):
        await store.put_stream(endless(), "text/plain", run=RUN)
    assert taken <= MAX_ARTIFACT_BYTES + 64 * CHUNK_BYTES


# -- runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS)
async def test_any_run_has_a_folder_of_its_own(store: ArtifactStore, run: str) -> None:
    kept = await store.put(b"tides", "text/plain", run=run)
    assert await store.get(kept.address) == b"tides"
    assert await store.delete_run("another") == 0
    assert await store.delete_run(run) == 1


async def test_no_two_runs_share_a_folder_and_none_has_a_path_in_it() -> None:
    folders = [folder_of(run) for run in RUNS]
    assert len(set(folders)) == len(RUNS)
    assert all("/" not in folder and "." not in folder and len(folder) <= 150 for folder in folders)


async def test_the_same_content_of_two_runs_is_deleted_with_each_of_them_alone(store: ArtifactStore) -> None:
    one = await store.put(b"tides", "text/plain", run="one")
    two = await store.put(b"tides", "text/plain", run="two")
    assert await store.delete_run("one") == 1
    with pytest.raises(NotFound):
        await store.get(one.address)
    assert await store.get(two.address) == b"tides"


async def test_a_run_whose_name_begins_like_anothers_is_left_alone(store: ArtifactStore) -> None:
    kept = await store.put(b"tides", "text/plain", run="run-10")
    assert await store.delete_run("run-1") == 0
    assert await store.get(kept.address) == b"tides"


async def test_deleting_what_is_not_there_is_no_error(store: ArtifactStore) -> None:
    assert await store.delete_run("never") == 0


async def test_content_goes_back_to_the_address_that_it_had_elsewhere(store: ArtifactStore) -> None:
    address = "run-7/sha256:" + hashlib.sha256(b"tides").hexdigest()
    assert (await store.put_at(address, b"tides", "text/plain")).address == address
    assert await store.get(address) == b"tides"
    with pytest.raises(ArtifactCorrupted):
        await store.put_at(address, b"winds", "text/plain")
    with pytest.raises(InvalidRequest):
        await store.put_at("../sha256:0", b"", "text/plain")
    assert await store.get(address) == b"tides"


# -- what is wrong ----------------------------------------------------------------------------------------------


async def test_what_was_never_put_is_not_found(store: ArtifactStore) -> None:
    address = "run-1/sha256:" + "0" * 64
    with pytest.raises(NotFound, match="sha256:0000"):
        await store.get(address)
    with pytest.raises(NotFound, match="sha256:0000"):
        await drained(store.open(address))


@pytest.mark.parametrize("damage", [b"", b"other bytes", b"tide"])
async def test_bytes_that_changed_since_are_an_error_and_not_an_answer(kept: Kept, damage: bytes) -> None:
    reference = await kept.store.put(b"tides", "text/plain", run=RUN)
    await kept.damage(reference.address, damage)
    with pytest.raises(ArtifactCorrupted, match=reference.address):
        await kept.store.get(reference.address)
    with pytest.raises(ArtifactCorrupted, match=reference.address):
        await drained(kept.store.open(reference.address))


async def test_putting_again_mends_what_was_damaged(kept: Kept) -> None:
    reference = await kept.store.put(b"tides", "text/plain", run=RUN)
    await kept.damage(reference.address, b"other bytes")
    await kept.store.put(b"tides", "text/plain", run=RUN)
    assert await kept.store.get(reference.address) == b"tides"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "sha256:" + "0" * 64,
        "/sha256:" + "0" * 64,
        "run-1/sha256:",
        "run-1/sha256:../../etc/passwd",
        "../run-1/sha256:" + "0" * 64,
        "../sha256:" + "0" * 64,
        "a/b/sha256:" + "0" * 64,
        "run-1/sha256:" + "0" * 63,
        "run-1/sha256:" + "0" * 65,
        "run-1/sha256:" + "A" * 64,
        "run-1/sha256:" + "0" * 64 + "\n",
        "run-1/sha256:" + "\u0660" * 64,
        "run\u00e4/sha256:" + "0" * 64,
        "run-1/md5:" + "0" * 64,
        "/etc/passwd",
        "x" * 100_000,
    ],
    ids=lambda address: repr(address[:24]),
)
async def test_what_is_no_address_is_refused_before_anything_is_read(store: ArtifactStore, address: str) -> None:
    for call in (store.get(address), drained(store.open(address))):
        with pytest.raises(InvalidRequest) as refused:
            await call
        assert refused.value.field == "address"
        assert len(str(refused.value)) < 200
