import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hnas.data import Images, batches, steps
from hnas.errors import InputError


@given(
    n=st.integers(2, 300),
    batch=st.integers(2, 300),
    seed=st.integers(0, 2**64),
    epoch=st.integers(0, 1000),
)
def test_equal_batches_of_distinct_images(n: int, batch: int, seed: int, epoch: int) -> None:
    made = batches(n, batch, seed=seed, epoch=epoch)
    assert len(made) == steps(n, batch)
    assert {len(index) for index in made} == {min(n, batch)}
    taken = torch.cat(made)
    assert taken.dtype == torch.int64
    assert len(taken.unique()) == len(taken) > n - min(n, batch)
    assert taken.min() >= 0 and taken.max() < n


def test_a_pure_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return torch.cat(batches(64, 16, seed=seed, epoch=epoch)).tolist()

    first = order(1, 2)
    torch.rand(1)
    assert order(1, 2) == first
    assert len({tuple(order(seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16


def test_every_epoch_drops_others() -> None:
    dropped = [
        set(range(10)) - set(torch.cat(batches(10, 4, seed=0, epoch=epoch)).tolist())
        for epoch in range(30)
    ]
    assert all(len(left) == 2 for left in dropped)
    assert set.union(*dropped) == set(range(10))


@given(
    n=st.integers(2, 300),
    batch=st.integers(2, 300),
    repeats=st.integers(1, 5),
    epoch=st.integers(0, 1000),
)
def test_repeated_images_come_in_a_row_and_an_epoch_is_as_long(
    n: int, batch: int, repeats: int, epoch: int
) -> None:
    made = batches(n, batch, seed=0, epoch=epoch, repeats=repeats)
    once = batches(n, batch, seed=0, epoch=epoch)
    assert [len(index) for index in made] == [len(index) for index in once]
    taken, order = torch.cat(made), torch.cat(once)
    full = len(taken) // repeats
    # The same random order, each of its images `repeats` times; the last is cut off.
    assert torch.equal(
        taken[: full * repeats].view(full, repeats).T, order[:full].expand(repeats, -1)
    )
    assert len(taken.unique()) == -(-len(taken) // repeats)


@pytest.mark.parametrize(("n", "batch"), [(1, 8), (8, 1), (0, 8)])
def test_one_image_is_no_batch(n: int, batch: int) -> None:
    message = f"a batch needs at least 2 images, got batch={batch} of {n} images"
    with pytest.raises(InputError, match=message):
        batches(n, batch, seed=0, epoch=0)


def test_fetch_gives_the_pixels_of_each_batch_in_turn() -> None:
    pixels = torch.randint(256, (20, 1, 3, 3), dtype=torch.uint8)
    order = batches(20, 8, seed=0, epoch=0)
    fetched = list(Images(pixels=pixels, labels=torch.arange(20)).fetch(order))
    assert len(fetched) == len(order) == 2
    assert all(torch.equal(f, pixels[i]) for f, i in zip(fetched, order, strict=True))
