"""What an artifact store guarantees: the same bytes back, or a clear error; nothing outside its own folder."""

import asyncio
import hashlib

import pytest

from shared.artifacts.store import ArtifactStore
from shared.errors import ArtifactCorrupted, InvalidRequest, NotFound
from tests.contract.artifacts.conftest import Kept

CONTENTS = [b"", b"# Title\n", "Grüße 世界".encode(), bytes(range(256)) * 10, b"x" * 3_000_000]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: f"{len(content)} bytes")
async def test_what_is_put_is_what_is_got(store: ArtifactStore, content: bytes) -> None:
    kept = await store.put(content, "text/markdown")
    assert await store.get(kept.address) == content
    assert (kept.size, kept.content_type) == (len(content), "text/markdown")


async def test_the_address_is_the_hash_of_the_content(store: ArtifactStore) -> None:
    kept = await store.put(b"tides", "text/plain")
    assert kept.address == "sha256:" + hashlib.sha256(b"tides").hexdigest()


async def test_the_reference_says_where_a_person_finds_it(store: ArtifactStore) -> None:
    assert (await store.put(b"tides", "text/plain")).location.partition(":")[0] in ("file", "https")


async def test_putting_the_same_twice_is_putting_it_once(store: ArtifactStore) -> None:
    assert await store.put(b"tides", "text/plain") == await store.put(b"tides", "text/plain")


async def test_different_contents_are_different_artifacts(store: ArtifactStore) -> None:
    one, two = await store.put(b"one", "text/plain"), await store.put(b"two", "text/plain")
    assert [await store.get(one.address), await store.get(two.address)] == [b"one", b"two"]


async def test_many_that_put_the_same_at_once_all_succeed_and_the_content_is_whole(store: ArtifactStore) -> None:
    content = b"tides " * 50_000
    kept = await asyncio.gather(*(store.put(content, "text/plain") for _ in range(25)))
    assert len({reference.address for reference in kept}) == 1
    assert await store.get(kept[0].address) == content


async def test_readers_never_see_half_of_what_is_being_put(store: ArtifactStore) -> None:
    content = b"tides " * 200_000
    address = "sha256:" + hashlib.sha256(content).hexdigest()
    putting = asyncio.create_task(store.put(content, "text/plain"))
    while not putting.done():
        try:
            assert await store.get(address) == content
        except NotFound:
            await asyncio.sleep(0)
    assert await store.get(address) == content


async def test_what_was_never_put_is_not_found(store: ArtifactStore) -> None:
    with pytest.raises(NotFound, match="sha256:0000"):
        await store.get("sha256:" + "0" * 64)


@pytest.mark.parametrize("damage", [b"", b"other bytes", b"tide"])
async def test_bytes_that_changed_since_are_an_error_and_not_an_answer(kept: Kept, damage: bytes) -> None:
    reference = await kept.store.put(b"tides", "text/plain")
    kept.damage(reference.address, damage)
    with pytest.raises(ArtifactCorrupted, match=reference.address):
        await kept.store.get(reference.address)


async def test_putting_again_mends_what_was_damaged(kept: Kept) -> None:
    reference = await kept.store.put(b"tides", "text/plain")
    kept.damage(reference.address, b"other bytes")
    await kept.store.put(b"tides", "text/plain")
    assert await kept.store.get(reference.address) == b"tides"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "sha256:",
        "sha256:../../etc/passwd",
        "sha256:" + "../" * 21 + "x",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 64 + "\n",
        "sha256:" + "\u0660" * 64,
        "md5:" + "0" * 64,
        "/etc/passwd",
        "sha256:" + "0" * 62 + "/a",
        "x" * 100_000,
    ],
    ids=lambda address: repr(address[:24]),
)
async def test_what_is_no_address_is_refused_before_anything_is_read(store: ArtifactStore, address: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await store.get(address)
    assert refused.value.field == "address"
    assert len(str(refused.value)) < 200
