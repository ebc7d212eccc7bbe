"""HAT's networks: sizes as their authors count them, and latencies as they measured them, beside ours.

Latencies are those of what was fitted to the authors' measurements of other networks (``device_latency``); how far off
it was on measurements held out of its fit is read from where it was written down then, because these are not shipped.
"""

from __future__ import annotations

from collections.abc import Mapping

from searchers.oracles.device_latency import DeviceLatency, features, measured_sets
from workloads.networks import hat
from workloads.networks.hat_published import PUBLISHED
from workloads.units import OPERATIONS_PER_MAC

# Devices as they stand in the names of networks, and what was measured on them.
SETS = {
    "raspberrypi": "wmt14ende_cpu_raspberrypi",
    "xeon": "wmt14ende_cpu_xeon",
    "titanxp": "wmt14ende_gpu_titanxp",
}


def measure() -> Mapping[str, float]:
    """Return our value of every number in ``published/hat.toml``, by id."""
    ours = {}
    for name, network in PUBLISHED.items():
        short = short_name(name)
        built = hat.build(network)
        ours[f"{short}.parameters"] = built.parameters / 1e6
        ours[f"{short}.flops"] = OPERATIONS_PER_MAC * built.macs / 1e9
        for device, measured in SETS.items():
            ours[f"{short}.on_{device}"] = float(DeviceLatency(measured).milliseconds(features([network]))[0])
    held_out = {name: DeviceLatency(name).held_out for name in measured_sets()}
    ours["held_out.spearman"] = min(found["spearman"] for found in held_out.values())
    ours["held_out.median_error"] = max(found["median_error"] for found in held_out.values())
    for task in ("wmt14ende", "wmt14enfr"):
        ours[f"{task}_raspberrypi.rmse"] = held_out[f"{task}_cpu_raspberrypi"]["rmse_ms"] / 1e3
    return ours


def details() -> list[dict[str, str]]:
    """Return a row for each device: how far off the fitted latency is on networks held out of its fit."""
    return [
        {
            "measured on": name,
            "RMSE": f"{found['rmse_ms']:.1f} ms",
            "median error": f"{found['median_error']:.1%}",
            "Spearman": f"{found['spearman']:.4f}",
        }
        for name in measured_sets()
        for found in (DeviceLatency(name).held_out,)
    ]


def short_name(name: str) -> str:
    """Return the device and latency a published network is named after."""
    return name.split("_")[2]
