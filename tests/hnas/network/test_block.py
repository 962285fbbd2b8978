import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hnas.architecture import arch as archs
from hnas.architecture.space import LOCALS, Frame
from hnas.network.block import Block, DropPath


def frame(**change: object) -> Frame:
    fields = {"image": 32, "channels": 3, "patch": 8, "classes": 5, "d": 24, "M": 1, "N": 3}
    return Frame(**(fields | change))


def tokens(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_an_all_global_gelu_block_is_a_vit_block():
    """Against PyTorch's own pre-norm encoder layer, weight for weight."""
    block = Block(frame(activation="gelu", heads=2), archs.Block(G=3, L=0, d_k=24, d_z=4)).eval()
    layer = nn.TransformerEncoderLayer(
        24, nhead=6, dim_feedforward=96, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    names = {
        "self_attn.in_proj_weight": "qkv.weight",
        "self_attn.in_proj_bias": "qkv.bias",
        "self_attn.out_proj.weight": "proj.weight",
        "self_attn.out_proj.bias": "proj.bias",
        "linear1.weight": "fc1.weight",
        "linear1.bias": "fc1.bias",
        "linear2.weight": "fc2.weight",
        "linear2.bias": "fc2.bias",
        **{f"norm{i}.{k}": f"norm{i}.{k}" for i in (1, 2) for k in ("weight", "bias")},
    }
    layer.load_state_dict({k: block.get_parameter(v) for k, v in names.items()})
    layer.norm1.eps = layer.norm2.eps = 1e-6
    x = tokens(2, 17, 24)
    torch.testing.assert_close(block(x), layer(x))


def test_a_mixed_block_is_the_papers_written_out():
    """The textbook form: Conv1d over (B, C, T), heads by einsum."""
    choice = archs.Block(G=1, L=2, d_k=12, d_z=2, E=2, K=5)
    block = Block(frame(), choice).eval()
    block.norm.running_mean.uniform_(-1, 1)
    block.norm.running_var.uniform_(0.5, 2)
    x = tokens(2, 17, 24)
    with torch.no_grad():
        y = block.norm1(x)
        first, last = y[..., :8], y[..., 8:]
        q, k, v = F.linear(first, block.qkv.weight, block.qkv.bias).chunk(3, -1)
        weights = torch.softmax(torch.einsum("bih,bjh->bij", q, k) * 4**-0.5, -1)
        attended = block.proj(torch.einsum("bij,bjh->bih", weights, v))
        z = last.transpose(1, 2)
        value, gate = F.conv1d(z, block.expand.weight[:, :, None], block.expand.bias).chunk(2, 1)
        z = F.conv1d(
            value * torch.sigmoid(gate),
            block.depthwise.weight,
            block.depthwise.bias,
            padding=2,
            groups=32,
        )
        z = nn.BatchNorm1d.forward(block.norm, z)
        z = F.conv1d(z * torch.sigmoid(z), block.project.weight[:, :, None], block.project.bias)
        x1 = x + torch.cat((attended, z.transpose(1, 2)), -1)
        hidden = block.fc1(block.norm2(x1))
        expected = x1 + block.fc2(hidden * torch.sigmoid(hidden))
        torch.testing.assert_close(block(x), expected)


def test_stochastic_depth_drops_whole_images_and_keeps_the_mean():
    drop = DropPath(0.25)
    x = torch.ones(4000, 2, 3)
    torch.manual_seed(0)
    y = drop(x)
    per_image = y[:, 0, 0]
    assert torch.equal(y, per_image[:, None, None].expand_as(y))
    assert torch.equal(per_image.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert abs(float(per_image.mean()) - 1) < 0.04
    assert torch.equal(drop.eval()(x), x)


@pytest.mark.parametrize("local", LOCALS)
@pytest.mark.parametrize("G", [0, 1, 3])
def test_dropout_sits_in_the_ffn_and_the_local_head_only_in_training(G, local):
    choice = archs.Block.of(G=G, L=3 - G, d_k=24, d_z=2, E=1, K=3)
    block = Block(frame(local=local), choice, dropout=0.5)
    x = tokens(2, 17, 24)
    calls = []
    block.dropout.register_forward_hook(lambda module, args, output: calls.append(args[0].shape))
    block.train()
    assert not torch.equal(block(x), block(x))
    assert len(calls) == 2 * (2 if G < 3 else 1)
    block.eval()
    assert torch.equal(block(x), block(x))


@pytest.mark.parametrize("G", [0, 1, 3])
def test_stochastic_depth_drops_both_branches_each_by_itself(G):
    choice = archs.Block.of(G=G, L=3 - G, d_k=24, d_z=2, E=1, K=3)
    x = tokens(2, 17, 24)
    never = Block(frame(), choice, drop_path=1 - 1e-9).train()  # chance keeps no branch
    assert torch.equal(never(x), x)
    block, branches = Block(frame(), choice, drop_path=0.5).train(), []
    block.drop_path.register_forward_hook(lambda module, args, output: branches.append(output))
    y = block(x)
    torch.testing.assert_close(y, x + branches[0] + branches[1])
    assert len(branches) == 2
