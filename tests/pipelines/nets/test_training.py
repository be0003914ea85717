"""Training: interrupted or not, the same bits; what breaks says where."""

import subprocess
import sys
import textwrap
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from pipelines.nets import checkpoints, schedules
from pipelines.nets.training import (
    Recipe,
    State,
    TrainingError,
    advance,
    fresh,
    from_bytes,
    result,
    to_bytes,
    trained,
)

RECIPE = Recipe(steps=6, batch=4, seed=3, peak_rate=1e-2, average=0.9, schedule="short")


def network() -> nn.Module:
    """Everything a step may change by chance or by the forward pass: dropout and running means."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
    )


@dataclass(frozen=True)
class Line:
    """y = 2 x₀ - x₁, and NaN from one step on."""

    broken_from: float = np.inf

    def batch(self, rng, size):
        x = rng.standard_normal((size, 3), dtype=np.float32)
        y = 2 * x[:, :1] - x[:, 1:2]
        return {"x": torch.from_numpy(x), "y": torch.from_numpy(y)}

    def loss(self, module, batch):
        loss = ((module(batch["x"]) - batch["y"]) ** 2).mean()
        steps = module[1].num_batches_tracked
        return loss * torch.nan if steps > self.broken_from else loss


def begun(recipe: Recipe = RECIPE) -> State:
    return fresh(network(), recipe)


def test_a_killed_and_resumed_training_gives_the_bits_of_one_that_ran_through():
    through = advance(begun(), Line(), 6, threads=1)
    half = to_bytes(advance(begun(), Line(), 3, threads=1))
    torch.manual_seed(99)
    resumed = advance(from_bytes(half, network(), recipe=RECIPE), Line(), 3, threads=1)
    assert to_bytes(resumed) == to_bytes(through)
    assert resumed.step == 6
    for name, value in result(through).items():
        assert torch.equal(value, result(resumed)[name]), name


def test_batches_drawn_ahead_and_steps_one_by_one_change_nothing():
    through = to_bytes(advance(begun(), Line(), 6, threads=1))
    state = begun()
    for _ in range(6):
        advance(state, Line(), 1, threads=1, drawers=2)
    assert to_bytes(state) == through
    assert to_bytes(advance(begun(), Line(), 6, threads=1, drawers=3)) == through


@pytest.mark.slow
def test_a_new_process_resumes_with_the_same_bits(tmp_path):
    (tmp_path / "half").write_bytes(to_bytes(advance(begun(), Line(), 3, threads=1)))
    script = """
        import importlib.util, pathlib, sys
        spec = importlib.util.spec_from_file_location("test_training", sys.argv[1])
        own = importlib.util.module_from_spec(spec)
        sys.modules["test_training"] = own
        spec.loader.exec_module(own)
        folder = pathlib.Path(sys.argv[2])
        state = own.from_bytes((folder / "half").read_bytes(), own.network())
        own.advance(state, own.Line(), 3, threads=1)
        (folder / "whole").write_bytes(own.to_bytes(state))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), __file__, str(tmp_path)]
    subprocess.run(command, check=True, timeout=120)
    through = to_bytes(advance(begun(), Line(), 6, threads=1))
    assert (tmp_path / "whole").read_bytes() == through


def test_the_callback_hears_steps_losses_and_rates_and_the_loss_falls():
    recipe = replace(RECIPE, steps=200, batch=32, schedule="constant", clip=0.0)
    heard = []
    advance(begun(recipe), Line(), 500, threads=1, on_step=lambda *each: heard.append(each))
    steps, losses, rates = zip(*heard, strict=True)
    assert steps == tuple(range(1, 201))
    assert set(rates) == {1e-2}
    assert np.mean(losses[-20:]) < 0.3 * np.mean(losses[:20])


def test_the_first_step_is_that_of_adam_with_decay_on_matrices_only():
    """After one step Adam's moments cancel: w ← w (1 - r λ) - r g / (|g| + ε)."""
    recipe = Recipe(steps=1, batch=8, peak_rate=1e-3, weight_decay=0.1, schedule="constant", clip=0)
    torch.manual_seed(1)
    module = nn.Linear(3, 1)
    before = {name: each.detach().clone() for name, each in module.named_parameters()}

    @dataclass(frozen=True)
    class Plain(Line):
        def loss(self, module, batch):
            return ((module(batch["x"]) - batch["y"]) ** 2).mean()

    batch = Plain().batch(np.random.default_rng([0, 0]), 8)
    Plain().loss(module, batch).backward()
    slope = {name: each.grad.clone() for name, each in module.named_parameters()}
    advance(fresh(module, recipe), Plain(), 1, threads=1)
    for name, each in module.named_parameters():
        decay = 0.1 if name == "weight" else 0.0
        g = slope[name]
        expected = before[name] * (1 - 1e-3 * decay) - 1e-3 * g / (g.abs() + 1e-8)
        torch.testing.assert_close(each.detach(), expected, rtol=0, atol=1e-7)


def test_the_mean_of_the_weights_follows_its_recurrence():
    state, mean = begun(), {k: v.clone() for k, v in network().state_dict().items()}
    for step in range(1, 7):
        advance(state, Line(), 1, threads=1)
        decay = min(0.9, (1 + step) / (10 + step))
        for name, value in state.module.state_dict().items():
            if value.is_floating_point():
                mean[name] = decay * mean[name] + (1 - decay) * value
            else:
                mean[name] = value.clone()
    for name, value in result(state).items():
        torch.testing.assert_close(value, mean[name], rtol=1e-5, atol=1e-6)
    assert torch.equal(trained(state)[0].weight, result(state)["0.weight"])
    assert not trained(state).training


def test_clipping_bounds_the_norm_of_the_gradient():
    class Steep(Line):
        def loss(self, module, batch):
            return 1e4 * super().loss(module, batch)

    state = advance(begun(replace(RECIPE, clip=0.5)), Steep(), 1, threads=1)
    # Adam's first moment after one step is (1 - β₁) g.
    moments = [each["exp_avg"] for each in state.optimiser.state.values()]
    norm = float(torch.sqrt(sum((each**2).sum() for each in moments))) / 0.1
    assert norm == pytest.approx(0.5, rel=1e-4)


def test_a_loss_that_is_not_a_number_names_its_step_and_leaves_the_last_good_state():
    good = to_bytes(advance(begun(), Line(), 4, threads=1))
    state = begun()
    with pytest.raises(TrainingError, match=r"loss of step 4 is nan.*peak_rate"):
        advance(state, Line(broken_from=4), 6, threads=1)
    assert state.step == 4
    assert to_bytes(state) == good


def test_training_in_bfloat16_keeps_single_precision_weights():
    state = advance(begun(replace(RECIPE, bfloat16=True)), Line(), 2, threads=1)
    assert {each.dtype for each in state.module.parameters()} == {torch.float32}


def test_the_global_generator_and_threads_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    state = begun()
    torch.manual_seed(5)
    advance(state, Line(), 2, threads=1)
    assert torch.equal(torch.rand(3), expected)


def test_steps_end_with_the_recipe():
    state = advance(begun(), Line(), 100, threads=1)
    assert state.step == 6
    assert advance(state, Line(), 1, threads=1).step == 6


def test_frozen_parameters_stay():
    module = network()
    module[0].requires_grad_(False)
    before = module[0].weight.clone()
    state = advance(fresh(module, RECIPE), Line(), 3, threads=1)
    assert torch.equal(state.module[0].weight, before)
    assert advance(from_bytes(to_bytes(state), module), Line(), 1, threads=1).step == 4


def test_resuming_refuses_another_recipe_network_or_file():
    data = to_bytes(advance(begun(), Line(), 2, threads=1))
    with pytest.raises(TrainingError, match=r"was begun with .*seed=3.* not .*seed=4"):
        from_bytes(data, network(), recipe=replace(RECIPE, seed=4))
    with pytest.raises(checkpoints.CheckpointError, match="misshapes"):
        from_bytes(data, nn.Sequential(nn.Linear(4, 8), *list(network())[1:]))
    with pytest.raises(checkpoints.CheckpointError, match="cut short"):
        from_bytes(data[:-9], network())
    with pytest.raises(TrainingError, match="not kept by this software"):
        from_bytes(checkpoints.packed({}, {"step": 1}), network())
    tensors, header = checkpoints.unpacked(data, "kept")
    without = {k: v for k, v in tensors.items() if k != "exp_avg.0.weight"}
    with pytest.raises(TrainingError, match=r"moments of 0\.weight"):
        from_bytes(checkpoints.packed(without, header), network())
    without = {k: v for k, v in tensors.items() if k != "averaged.0.weight"}
    with pytest.raises(TrainingError, match="mean of"):
        from_bytes(checkpoints.packed(without, header), network())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "must be positive"),
        ({"steps": 1, "schedule": "magic"}, "no schedule 'magic'"),
        ({"steps": 1, "average": 1.0}, r"average 1\.0"),
        ({"steps": 1, "peak_rate": -1.0}, "peak_rate"),
    ],
)
def test_recipes_that_cannot_be_followed_are_refused(values, message):
    with pytest.raises(TrainingError, match=message):
        Recipe(**values)


def test_a_network_without_parameters_is_refused():
    with pytest.raises(TrainingError, match="no parameter to learn"):
        fresh(nn.ReLU(), RECIPE)


def test_the_papers_schedule_at_its_epochs():
    """Tang et al. (2026), section 2.3.3; the line and the cosine by hand."""
    epochs = np.array([0, 5, 10, 20, 40, 60, 80, 100, 150, 200])
    expected = [1e-5, 3.25e-5, 5.5e-5, 1e-4]
    expected += [5e-5 + 5e-5 * 0.5 * (1 + np.cos(np.pi * q)) for q in (0.25, 0.5, 0.75)]
    expected += [5e-5, 5e-5, 5e-5]
    found = [schedules.PAPER_PEAK * schedules.paper(epoch / 200) for epoch in epochs]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("schedule", sorted(schedules.SCHEDULES))
@pytest.mark.parametrize("steps", [1, 7, 200])
def test_every_step_of_any_schedule_moves_and_none_exceeds_the_peak(schedule, steps):
    rates = [schedules.rate(k, steps=steps, schedule=schedule, peak=2e-4) for k in range(steps)]
    assert 0 < min(rates) <= max(rates) <= 2e-4


def test_steps_outside_a_schedule_are_refused():
    with pytest.raises(schedules.ScheduleError, match="step 5 lies outside"):
        schedules.rate(5, steps=5, schedule="paper", peak=1.0)
    with pytest.raises(schedules.ScheduleError, match="no schedule"):
        schedules.rate(0, steps=5, schedule="none", peak=1.0)


@dataclass(frozen=True)
class Cramped(Line):
    """Has room for so many samples at once, as a GPU may."""

    room: int = 1

    def loss(self, module, batch):
        if len(batch["x"]) > self.room:
            raise torch.OutOfMemoryError
        return ((module(batch["x"]) - batch["y"]) ** 2).mean()


@pytest.mark.parametrize(("room", "parts"), [(4, 1), (3, 2), (1, 4)])
def test_a_batch_that_is_too_large_goes_through_in_parts_with_the_same_mean(room, parts):
    plain = nn.Linear(3, 1)
    states, losses = [], []
    for least in (4, room):
        torch.manual_seed(1)
        plain.reset_parameters()
        state = fresh(nn.Sequential(plain), RECIPE)
        for _ in range(6):
            advance(state, Cramped(room=least), 1, on_step=lambda _, loss, __: losses.append(loss))
        states.append(result(state))
    assert state.parts == parts
    np.testing.assert_allclose(losses[6:], losses[:6], rtol=1e-5)
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-4, atol=1e-5)


def test_one_sample_that_is_too_large_ends_the_training_before_its_step():
    state = begun()
    before = to_bytes(state)
    with pytest.raises(torch.OutOfMemoryError):
        advance(state, Cramped(room=0), 6, threads=1)
    assert state.parts == RECIPE.batch
    assert to_bytes(state) == before
