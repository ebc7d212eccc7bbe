"""SpArch: sparse matrices multiplied by outer products, with condensing, Huffman merging and a row prefetcher."""

from accel.sparch.config import PRESETS, Config
from accel.sparch.model import estimate, roofline, sample, simulate
from accel.sparch.plan import Plan, SamplePlan

__all__ = ["PRESETS", "Config", "Plan", "SamplePlan", "estimate", "roofline", "sample", "simulate"]
