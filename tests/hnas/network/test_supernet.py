from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hnas.architecture import layout
from hnas.architecture.arch import SKIPPED, Arch, Block
from hnas.architecture.space import Frame, distribution_space, size_space, skippable
from hnas.cost.flops import cost
from hnas.errors import InputError
from hnas.network.glit import Glit
from hnas.network.slicing import cut, overlap
from hnas.network.supernet import Statistics, Supernet, grow, inherit
from tests.support.generators import archs, frames, kernels, spaces, spaces_and_archs


def images(frame: Frame, n: int = 5, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, frame.channels, frame.image, frame.image, generator=generator)


@settings(deadline=None)
@given(spaces_and_archs())
def test_a_subnet_is_its_standalone_network_bit_for_bit(drawn):
    """Invariant 1, and more than it asks: widths need not be multiples of 16."""
    space, arch = drawn
    net = Supernet(space).reset(1)
    x = images(space.frame)
    with torch.no_grad():
        net(x + 1, arch)  # a stem's running statistics are not the initial ones
    net.eval()
    statistics = [Statistics() for _ in arch.blocks]
    with torch.no_grad():
        net(x, arch, [s.measure for s in statistics])
        inherited = net(x, arch, [s.apply for s in statistics])
        alone = net.extract(arch, statistics).eval()
        assert torch.equal(inherited, alone(x))


@settings(deadline=None)
@given(spaces_and_archs())
def test_training_gradients_are_those_of_the_standalone_network(drawn):
    space, arch = drawn
    net = Supernet(space).reset(1)
    alone = net.extract(arch)
    alone.train()
    x = images(space.frame)
    net(x, arch).square().sum().backward()
    alone(x).square().sum().backward()
    for i, block in enumerate(net.blocks):
        sizes = layout.sizes(space.frame, arch.blocks[i])
        for name, tensor in layout.tensors(space.frame, sizes).items():
            whole = block.get_parameter(name).grad
            part = cut(whole, tensor, block.sizes, sizes).reshape(tensor.shape(sizes))
            torch.testing.assert_close(part, alone.blocks[i].get_parameter(name).grad)
            # What the subnet does not use gets no gradient.
            assert whole.count_nonzero() == part.count_nonzero()


@pytest.mark.parametrize("kinds", [{}, {"local": "conv2d", "stem": "conv", "pool": "mean"}])
def test_a_skipped_block_is_not_there(kinds):
    frame = Frame(image=16, channels=1, patch=4, classes=5, d=24, M=4, N=3, **kinds)
    space = skippable(distribution_space(frame, d_k=24, d_z=2, E=1, K=3))
    mixed, local = frame.block(2, 24, 2, 1, 3), frame.block(0, 24, 2, 1, 3)
    net = Supernet(space).reset(1)
    arch = Arch((mixed, SKIPPED, local, SKIPPED))
    shorter = Glit(replace(frame, M=2), Arch((mixed, local)))
    weights = net.extract(arch).state_dict()
    assert not any(name.startswith(("blocks.1.", "blocks.3.")) for name in weights)
    shorter.load_state_dict({n.replace("blocks.2.", "blocks.1."): w for n, w in weights.items()})
    assert torch.equal(net(images(frame), arch), shorter(images(frame)))
    assert cost(frame, arch) == cost(shorter.frame, shorter.arch)


@settings(deadline=None)
@given(spaces())
def test_a_supernet_stores_what_its_space_needs_and_no_more(space):
    net = Supernet(space)
    for block, choices in zip(net.blocks, space.choices, strict=True):
        used = {name: torch.zeros_like(w) for name, w in block.named_parameters()}
        for choice in choices:
            sizes = layout.sizes(space.frame, choice)
            for name, tensor in layout.tensors(space.frame, sizes).items():
                cut(used[name], tensor, block.sizes, sizes).fill_(1)
        # The corner between two subnets' slices (heads of one, channels of the other) is stored
        # too, so it is the largest size on every axis that must be reached, not every number.
        for name, weight in used.items():
            marks = weight.view(block.tensors[name].stored(block.sizes))
            for dim in range(marks.dim()):
                others = [k for k in range(marks.dim()) if k != dim]
                assert marks.amax(others).bool().all() if others else marks.bool().all(), name


@settings(deadline=None)
@given(frames(), st.data())
def test_a_grown_supernet_computes_what_it_computed_before(frame, data):
    d = frame.d
    [K] = kernels(frame, 5)
    first = distribution_space(frame, d_k=d, d_z=4, E=1, K=K)
    arch = data.draw(archs(first))
    K = kernels(frame, 3, 5, 9)
    second = size_space(frame, arch, d_k=(d // 2, d, 2 * d), d_z=(2, 4, 6), E=(1, 2), K=K)
    old = Supernet(first).reset(1).eval()
    new = grow(old, second, seed=2).eval()
    with torch.no_grad():
        assert torch.equal(old(images(frame), arch), new(images(frame), arch))


@settings(deadline=None)
@given(frames(), st.data())
def test_what_the_last_supernet_has_not_comes_from_those_before(frame, data):
    d = frame.d
    [K] = kernels(frame, 5)
    first = distribution_space(frame, d_k=d, d_z=4, E=1, K=K)
    arch = data.draw(archs(first))
    sizes = {"d_k": (d // 2, d, 2 * d), "d_z": (2, 4, 6), "E": (1, 2), "K": kernels(frame, 3, 5, 9)}
    one = Supernet(first).reset(1).eval()
    two = Supernet(size_space(frame, arch, **sizes)).reset(2).eval()
    three = grow(two, size_space(frame, None, **sizes), seed=3, before=[one]).eval()
    with torch.no_grad():
        assert torch.equal(two(images(frame), arch), three(images(frame), arch))
    for new, old, left in zip(three.blocks, one.blocks, two.blocks, strict=True):
        for name in old.tensors.keys() - left.tensors.keys():
            tensor, common = new.tensors[name], overlap(new.sizes, old.sizes)
            assert torch.equal(
                cut(new.get_parameter(name), tensor, new.sizes, common),
                cut(old.get_parameter(name), tensor, old.sizes, common),
            )


def test_growing_initialises_the_rest_from_its_seed():
    frame = Frame(image=8, channels=1, patch=4, classes=2, d=12, M=1, N=3)
    first = distribution_space(frame, d_k=12, d_z=4, E=1, K=5)
    arch = first.sample(np.random.default_rng(0))
    second = size_space(frame, arch, d_k=(12,), d_z=(4, 6), E=(1,), K=(5,))
    old = Supernet(first).reset(1)
    one, same, other = (grow(old, second, seed=s) for s in (2, 2, 3))
    weight = "blocks.0.fc1.weight"
    assert torch.equal(one.get_parameter(weight), same.get_parameter(weight))
    assert not torch.equal(one.get_parameter(weight)[48:], other.get_parameter(weight)[48:])
    assert one.get_parameter(weight)[48:].std() > 0.01
    drops = (part for part in grow(old, second, seed=2, dropout=0.3).modules())
    assert {part.p for part in drops if isinstance(part, torch.nn.Dropout)} == {0.3}
    other_frame = Frame(image=8, channels=1, patch=4, classes=3, d=12, M=1, N=3)
    with pytest.raises(InputError, match="grows within its frame"):
        grow(old, distribution_space(other_frame, d_k=12, d_z=4, E=1, K=5), seed=0)


def test_an_arch_of_another_space_is_refused():
    frame = Frame(image=8, channels=1, patch=4, classes=2, d=12, M=1, N=3)
    net = Supernet(distribution_space(frame, d_k=12, d_z=4, E=1, K=5)).reset(0)
    other = distribution_space(frame, d_k=12, d_z=2, E=1, K=5).sample(np.random.default_rng(0))
    with pytest.raises(InputError, match="not in this supernet's space"):
        net(images(frame), other)


def test_kernels_are_cut_from_their_centre_and_local_channels_from_the_end():
    frame = Frame(image=8, channels=1, patch=4, classes=2, d=6, M=1, N=3)
    space = size_space(frame, None, d_k=(6,), d_z=(2,), E=(1, 2), K=(3, 5))
    net = Supernet(space).reset(0)
    block = net.blocks[0]
    mixed = next(b for b in space.choices[0] if (b.G, b.E, b.K) == (1, 1, 3))
    stored = block.get_parameter("depthwise.weight").view(2, 6, 1, 5)
    assert torch.equal(block.weights(mixed)["depthwise.weight"], stored[0, 2:, :, 1:4])


def test_kernels_on_the_grid_are_cut_from_their_centre_both_ways():
    frame = Frame(image=12, channels=1, patch=4, classes=2, d=6, M=1, N=3, local="conv2d")
    space = size_space(frame, None, d_k=(6,), d_z=(2,), E=(1, 2), K=(3, 5))
    block = Supernet(space).reset(0).blocks[0]
    mixed = next(b for b in space.choices[0] if (b.G, b.E, b.K) == (1, 1, 3))
    stored = block.get_parameter("depthwise.weight").view(2, 6, 1, 5, 5)
    assert torch.equal(block.weights(mixed)["depthwise.weight"], stored[0, 2:, :, 1:4, 1:4])


def test_local_attention_takes_the_last_heads_and_the_first_of_their_widths():
    frame = Frame(
        image=12, channels=1, patch=4, classes=2, d=12, M=1, N=3, heads=2, local="attention"
    )
    space = size_space(frame, None, d_k=(6,), d_z=(2,), E=(1, 2), K=(3, 5))
    block = Supernet(space).reset(0).blocks[0]
    mixed = next(b for b in space.choices[0] if (b.G, b.E) == (1, 1))
    # query, key and value; 2 heads in each of 3 groups, E x 2 wide; 12 channels
    stored = block.get_parameter("expand.weight").view(3, 6, 4, 12)
    assert torch.equal(block.weights(mixed)["expand.weight"], stored[:, 2:, :2, 4:].reshape(24, 8))
    stored = block.get_parameter("project.weight").view(12, 6, 4)
    assert torch.equal(block.weights(mixed)["project.weight"], stored[4:, 2:, :2].reshape(8, 8))


@given(spaces_and_archs(), st.integers(0, 3))
def test_a_supernet_inherits_a_network_bit_for_bit(drawn, seed):
    space, arch = drawn
    alone = Glit(space.frame, arch).reset(seed).eval()
    statistics = [Statistics() for _ in arch.blocks]
    for block, own in zip(alone.blocks, statistics, strict=True):
        if hasattr(block, "norm"):
            block.norm.running_var.uniform_(0.5, 2)
            own.mean, own.var = block.norm.running_mean.normal_(), block.norm.running_var
    net = Supernet(space).reset(seed + 1).eval()
    inherit(net, alone)
    x = images(space.frame)
    with torch.no_grad():
        assert torch.equal(net(x, arch, [own.apply for own in statistics]), alone(x))
        assert torch.equal(net.extract(arch, statistics).eval()(x), alone(x))


@given(spaces_and_archs())
def test_a_supernet_that_inherits_keeps_the_rest(drawn):
    """What the architecture does not use stays as it was, to the number."""
    space, arch = drawn
    net, old = Supernet(space).reset(1), Supernet(space).reset(1)
    inherit(net, Glit(space.frame, arch).reset(2))
    for block, before, choice in zip(net.blocks, old.blocks, arch.blocks, strict=True):
        sizes = layout.sizes(space.frame, choice)
        for name, tensor in block.tensors.items():
            if name in layout.tensors(space.frame, sizes):
                for weights in (block, before):
                    cut(weights.get_parameter(name).data, tensor, block.sizes, sizes).zero_()
            assert torch.equal(block.get_parameter(name), before.get_parameter(name))


def test_a_supernet_of_other_classes_keeps_its_classifier():
    frame = Frame(image=8, channels=1, patch=4, classes=2, d=12, M=2, N=3)
    space = distribution_space(frame, d_k=12, d_z=4, E=1, K=5)
    alone = Glit(replace(frame, classes=7), frame.all_global()).reset(2)
    net = Supernet(space).reset(1)
    head = net.head.weight.clone()
    inherit(net, alone)
    assert torch.equal(net.head.weight, head)
    assert torch.equal(net.blocks[1].get_parameter("fc1.weight"), alone.blocks[1].fc1.weight)
    assert torch.equal(net.norm.weight, alone.norm.weight)


def test_what_a_supernet_cannot_inherit():
    frame = Frame(image=8, channels=1, patch=4, classes=2, d=12, M=2, N=3)
    net = Supernet(distribution_space(frame, d_k=12, d_z=4, E=1, K=5))
    other = replace(frame, activation="gelu", image=12)
    with pytest.raises(InputError, match="a network of its own frame, but these differ") as caught:
        inherit(net, Glit(other, other.all_global()))
    assert str(caught.value).splitlines()[1:] == [
        "  image: stored 12, asked 8",
        "  activation: stored 'gelu', asked 'swish'",
    ]
    convolved = Glit(replace(frame, local="conv2d"), frame.all_global())
    with pytest.raises(InputError, match="local: stored 'conv2d', asked 'conv1d'"):
        inherit(net, convolved)
    wide = Arch((Block(G=3, L=0, d_k=24, d_z=4),) * 2)
    with pytest.raises(InputError, match="not in this supernet's space"):
        inherit(net, Glit(frame, wide))
