"""What SpAtten is compared with: dense attention on its arrays, A3 and MNNFast, in one closed form."""

from accel.attention_peers.config import PRESETS, Config
from accel.attention_peers.model import estimate, roofline
from accel.attention_peers.plan import Plan

__all__ = ["PRESETS", "Config", "Plan", "estimate", "roofline"]
