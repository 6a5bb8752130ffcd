"""Steps of PyTorch's optimisers and factors of its schedules, in float64.

Run with the packages of `WITH` below (and `numpy`); writes optimizers.safetensors and schedules.json beside it.

optimizers.safetensors: 20 steps of each case on the parameters of a network of 3-4-3-2 units (tanh, smooth loss).
Metadata: `made_with`; `cases`, a JSON list of name, optimizer, constants, rate (of Muon), weight_decay, clip, factors
(of the learning rate, one for each segment). Tensors of each case: `{name}.learning_rates` (20,);
`{name}.gradients` (20, 39), before clipping, rounded to float32 (which halves the file) before the optimiser sees them;
`{name}.parameters` (21, 39), before the first step and after each; for schedule-free `{name}.averaged` (39,), what is
evaluated after the last step. `sgd.average` (20, 39): the moving average of decay 0.8 after each step.

What PyTorch has no name for is done here by hand: decoupled weight decay of optimisers other than AdamW and Muon
(p *= 1 - lr * weight_decay before the step). Biases do not decay. `torch.optim.Muon` multiplies bfloat16; here its
source is used with float64 in that one place.
"""

import inspect
import json
import math
from pathlib import Path

import numpy as np
import schedulefree
import torch
from safetensors.numpy import save_file
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

HERE = Path(__file__).parent
WITH = f"torch {torch.__version__}, schedulefree 1.4.1"
STEPS = 20
SIZES = [3, 4, 3, 2]
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

newton_schulz = inspect.getsource(torch.optim._muon._zeropower_via_newtonschulz)
assert "torch.bfloat16" in newton_schulz
exec(newton_schulz.replace("torch.bfloat16", "torch.float64"), vars(torch.optim._muon))


class Problem:
    """The mean of log cosh of the errors of a small network, whose parameters are named as schuss names them."""

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        normal = lambda *shape: torch.randn(*shape, generator=generator)
        self.x, self.y = normal(16, SIZES[0]), normal(16, SIZES[-1])
        self.parameters = []
        for inputs, outputs in zip(SIZES, SIZES[1:]):
            self.parameters += [normal(outputs, inputs) / math.sqrt(inputs), 0.1 * normal(outputs)]
        for p in self.parameters:
            p.requires_grad_()

    def loss(self):
        a = self.x
        for weight, bias in zip(self.parameters[::2], self.parameters[1::2]):
            a = torch.tanh(a @ weight.T + bias)
        return torch.log(torch.cosh(3 * (a - self.y))).mean()

    def flat(self):
        return torch.cat([p.detach().reshape(-1) for p in self.parameters]).numpy().copy()

    def gradients(self):
        """Sets and returns the gradients, as float32 has them."""
        for p in self.parameters:
            p.grad = None
        self.loss().backward()
        for p in self.parameters:
            p.grad = p.grad.to(torch.float32).to(torch.float64)
        return torch.cat([p.grad.reshape(-1) for p in self.parameters]).numpy().copy()


def betas(constants):
    return dict(betas=(constants.get("beta1", 0.9), constants.get("beta2", 0.999)), eps=constants.get("epsilon", 1e-8))


def optimizers(case, parameters):
    """PyTorch's optimisers of a case, and whether they decay by themselves."""
    constants, decay = case["constants"], case.get("weight_decay", 0.0)
    factors = case.get("factors", [1.0] * len(parameters))
    momentum = dict(momentum=constants.get("momentum", 0.0))
    nesterov = bool(constants.get("nesterov", 0))
    groups = [dict(params=[p], factor=f, weight_decay=decay * (p.ndim == 2)) for p, f in zip(parameters, factors)]
    undecayed = [dict(group, weight_decay=0.0) for group in groups]
    match case["optimizer"]:
        case "sgd":
            return [torch.optim.SGD(undecayed, nesterov=nesterov, **momentum)], False
        case "rmsprop":
            eps, centered = constants.get("epsilon", 1e-8), bool(constants.get("centered", 0))
            alpha = constants.get("decay", 0.99)
            return [torch.optim.RMSprop(undecayed, alpha=alpha, eps=eps, centered=centered, **momentum)], False
        case "adam" if decay == 0.0:
            return [torch.optim.Adam(groups, **betas(constants))], True
        case "adam" | "adamw":
            return [torch.optim.AdamW(groups, **betas(constants))], True
        case "muon":
            hidden = [group for group in groups if group["params"][0].ndim == 2][:-1]
            others = [group for group in groups if all(group is not h for h in hidden)]
            muon = torch.optim.Muon(
                hidden,
                momentum=constants.get("momentum", 0.95),
                nesterov=bool(constants.get("nesterov", 1)),
                ns_steps=constants.get("newton-schulz-steps", 5),
                adjust_lr_fn=case.get("rate", "match_rms_adamw"),
            )
            return [muon, torch.optim.AdamW(others, **betas(constants))], True
        case "schedule-free":
            warm_up = constants.get("warm-up", 0)
            optimizer = schedulefree.AdamWScheduleFree(groups, warmup_steps=warm_up, **betas(constants))
            optimizer.train()
            return [optimizer], True
        case "lbfgs":
            history = constants.get("history", 10)
            tolerances = dict(tolerance_grad=0, tolerance_change=0)
            return [torch.optim.LBFGS(parameters, max_iter=1, history_size=history, **tolerances)], False


def run(case):
    problem = Problem()
    parameters = problem.parameters
    decay = case.get("weight_decay", 0.0)
    parts, decays = optimizers(case, parameters)
    learning_rates = [case["lr"] * (1 + 0.3 * math.cos(t)) for t in range(STEPS)]
    trajectory, gradients, averages = [problem.flat()], [], []
    model = torch.nn.ParameterList(parameters)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.8))
    for lr in learning_rates:
        gradients.append(problem.gradients())
        match case.get("clip"):
            case ["norm", limit]:
                torch.nn.utils.clip_grad_norm_(parameters, limit)
            case ["value", limit]:
                torch.nn.utils.clip_grad_value_(parameters, limit)
        before = problem.flat()
        if not decays and decay != 0.0:
            with torch.no_grad():
                for p, factor in zip(parameters[::2], case.get("factors", [1.0] * len(parameters))[::2]):
                    p.mul_(1 - lr * factor * decay)
        for optimizer in parts:
            for group in optimizer.param_groups:
                group["lr"] = lr * group.get("factor", 1.0)
            # The closure of L-BFGS: gradients are there, and the loss serves tolerances only.
            optimizer.step(*([lambda: 0.0] if case["optimizer"] == "lbfgs" else []))
            if case["optimizer"] == "lbfgs" and decay != 0.0:
                # s is all that changed, the decay included.
                state = optimizer.state[parameters[0]]
                state["d"] = torch.tensor(problem.flat() - before) / state["t"]
        trajectory.append(problem.flat())
        average.update_parameters(model)
        averages.append(torch.cat([p.detach().reshape(-1) for p in average.parameters()]).numpy().copy())
    name = case["name"]
    tensors = {
        f"{name}.learning_rates": np.array(learning_rates),
        f"{name}.gradients": np.array(gradients, dtype=np.float32),
        f"{name}.parameters": np.array(trajectory),
    }
    if name == "sgd":
        tensors[f"{name}.average"] = np.array(averages)
    if case["optimizer"] == "schedule-free":
        parts[0].eval()
        tensors[f"{name}.averaged"] = problem.flat()
    print(f"{name}: loss {problem.loss().item():.4f}")
    return tensors


def case(name, optimizer, lr, constants={}, **rest):
    return dict(name=name, optimizer=optimizer, lr=lr, constants=constants, **rest)


FACTORS = [1.0, 0.5, 2.0, 0.0, 0.25, 1.5]
CASES = [
    case("sgd", "sgd", 0.1),
    case("sgd_momentum", "sgd", 0.05, dict(momentum=0.9), clip=["norm", 0.3]),
    case("sgd_nesterov", "sgd", 0.05, dict(momentum=0.8, nesterov=1), weight_decay=0.1, clip=["value", 0.05]),
    case("sgd_factors", "sgd", 0.1, weight_decay=0.2, factors=FACTORS),
    case("rmsprop", "rmsprop", 0.01),
    case("rmsprop_momentum", "rmsprop", 0.01, dict(momentum=0.7, decay=0.9, epsilon=1e-4), clip=["norm", 0.1]),
    case("rmsprop_centered", "rmsprop", 0.003, dict(centered=1), weight_decay=0.3),
    case("rmsprop_all", "rmsprop", 0.01, dict(centered=1, momentum=0.5, decay=0.95), clip=["value", 0.02]),
    case("adam", "adam", 0.02),
    case("adam_betas", "adam", 0.02, dict(beta1=0.5, beta2=0.9, epsilon=1e-3), clip=["norm", 0.2]),
    case("adamw", "adamw", 0.02, weight_decay=0.01),
    case("adamw_all", "adamw", 0.02, dict(beta2=0.95), weight_decay=0.5, clip=["value", 0.03], factors=FACTORS),
    case("muon", "muon", 0.02, weight_decay=0.01),
    case("muon_original", "muon", 0.02, dict(momentum=0.9, nesterov=0), rate="original", clip=["norm", 0.1]),
    case(
        "muon_spectral",
        "muon",
        0.02,
        {"newton-schulz-steps": 3, "beta1": 0.8},
        rate="spectral_unclamped",
        weight_decay=0.3,
        factors=FACTORS,
    ),
    case("schedule_free", "schedule-free", 0.02),
    case(
        "schedule_free_all",
        "schedule-free",
        0.02,
        {"beta1": 0.95, "beta2": 0.99, "warm-up": 8},
        weight_decay=0.2,
        clip=["norm", 0.2],
    ),
    case("schedule_free_factors", "schedule-free", 0.01, {"warm-up": 3}, weight_decay=0.1, factors=FACTORS[:3] * 2),
    case("lbfgs", "lbfgs", 0.7),
    case("lbfgs_short", "lbfgs", 0.5, dict(history=3), clip=["norm", 2.0]),
    case("lbfgs_skips", "lbfgs", 0.9, dict(history=2), clip=["value", 0.02]),
    case("lbfgs_decay", "lbfgs", 0.3, dict(history=4), weight_decay=0.05),
]

FACTORS_OF = 50


def factors(schedule):
    """Learning rates of a base rate of 1: schedule is a function of the optimiser."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = schedule(optimizer)
    rates = []
    for step in range(FACTORS_OF):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        # The one-cycle schedule has no rate beyond the last step.
        if step + 1 < FACTORS_OF:
            scheduler.step()
    return rates


def flat_cosine(optimizer, flat):
    constant = lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=flat)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, FACTORS_OF - flat)
    return lr_scheduler.SequentialLR(optimizer, [constant, cosine], milestones=[flat])


def warm_up(optimizer, steps, schedule):
    linear = lr_scheduler.LinearLR(optimizer, start_factor=1 / steps, total_iters=steps - 1)
    return lr_scheduler.ChainedScheduler([linear, schedule(optimizer)])


def one_cycle(optimizer):
    return lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=FACTORS_OF, cycle_momentum=False)


def coslog4(step):
    """As written in the paper: no scheduler of PyTorch."""
    return (1 - math.cos(2 * math.pi * math.log2(1 + 15 * step / FACTORS_OF))) / 2


def cosine(optimizer):
    return lr_scheduler.CosineAnnealingLR(optimizer, FACTORS_OF)


def step_lr(every, factor):
    return lambda optimizer: lr_scheduler.StepLR(optimizer, every, factor)


SCHEDULES = [
    ("constant", 0, [1.0] * FACTORS_OF),
    ("step:7:0.5", 0, factors(step_lr(7, 0.5))),
    ("step:20:0.1", 0, factors(step_lr(20, 0.1))),
    ("cosine", 0, factors(cosine)),
    ("one-cycle", 0, factors(one_cycle)),
    ("coslog4", 0, [coslog4(step) for step in range(FACTORS_OF)]),
    ("flat-cosine:0.5", 0, factors(lambda optimizer: flat_cosine(optimizer, 25))),
    ("flat-cosine:0.72", 0, factors(lambda optimizer: flat_cosine(optimizer, 36))),
    ("constant", 10, factors(lambda o: warm_up(o, 10, lambda o: lr_scheduler.ConstantLR(o, 1.0, 1)))),
    ("cosine", 12, factors(lambda o: warm_up(o, 12, cosine))),
    ("step:9:0.3", 5, factors(lambda o: warm_up(o, 5, step_lr(9, 0.3)))),
]

METRICS = [1.0, 1.00005, 0.9, 0.9, 0.8999, 0.89, 0.95, math.nan, 0.91, 0.88, 0.92, 0.93, 0.94, 0.95, 0.96]
METRICS += [0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.4, 0.39999, 0.39998, 0.39997]


def plateau(patience, factor, threshold, least, mode):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer, mode, factor, patience, threshold=threshold, min_lr=least, eps=0
    )
    rates = []
    for metric in METRICS:
        scheduler.step(metric)
        rates.append(optimizer.param_groups[0]["lr"])
    return dict(
        schedule=f"plateau:{patience}:{factor}",
        threshold=threshold,
        least=least,
        higher_is_better=mode == "max",
        factors=rates,
    )


PLATEAUS = [
    plateau(2, 0.5, 1e-4, 0.0, "min"),
    plateau(0, 0.1, 1e-4, 1e-3, "min"),
    plateau(3, 0.3, 0.02, 0.0, "min"),
    plateau(2, 0.5, 1e-4, 0.05, "max"),
    plateau(10, 0.1, 1e-4, 0.0, "max"),
]

if __name__ == "__main__":
    tensors = {}
    for one in CASES:
        tensors |= run(one)
    kept = [{key: value for key, value in one.items() if key != "lr"} for one in CASES]
    metadata = dict(made_with=WITH, cases=json.dumps(kept))
    save_file(tensors, HERE / "optimizers.safetensors", metadata)
    schedules = [dict(schedule=name, warm_up=steps, factors=rates) for name, steps, rates in SCHEDULES]
    metrics = [None if math.isnan(metric) else metric for metric in METRICS]
    content = dict(made_with=WITH, schedules=schedules, metrics=metrics, plateaus=PLATEAUS)
    (HERE / "schedules.json").write_text(json.dumps(content, indent=1) + "\n")
