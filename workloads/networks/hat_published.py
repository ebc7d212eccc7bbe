"""Networks that HAT's authors found and trained, with what they print of them.

Source: Wang et al., "HAT", ACL 2020; configurations and names of mit-han-lab/hardware-aware-transformers, WMT'14
English to German. What is printed of their size is in ``validation/published/hat.toml``, BLEU in the oracle
``published-bleu``.
"""

from __future__ import annotations

from collections.abc import Mapping

from workloads.networks.hat import Architecture

_WIDE = (3072,) * 6

PUBLISHED: Mapping[str, Architecture] = {
    "HAT_wmt14ende_raspberrypi@6.0s_bleu@28.2": Architecture(
        encoder_embedding=512,
        decoder_embedding=512,
        encoder_feed_forward=_WIDE,
        encoder_heads=(4, 4, 4, 8, 8, 4),
        decoder_feed_forward=(2048, 2048, 3072, 3072),
        decoder_heads=(4, 8, 8, 4),
        cross_heads=(4, 8, 8, 8),
        attended=(1, 1, 2, 1),
    ),
    "HAT_wmt14ende_raspberrypi@6.9s_bleu@28.4": Architecture(
        encoder_embedding=512,
        decoder_embedding=512,
        encoder_feed_forward=_WIDE,
        encoder_heads=(8, 4, 8, 8, 8, 8),
        decoder_feed_forward=(2048, 2048, 3072, 3072, 2048),
        decoder_heads=(8, 8, 8, 4, 8),
        cross_heads=(4, 8, 8, 8, 8),
        attended=(1, 2, 2, 2, 1),
    ),
    "HAT_wmt14ende_xeon@340.2ms_bleu@28.1": Architecture(
        encoder_embedding=512,
        decoder_embedding=512,
        encoder_feed_forward=_WIDE,
        encoder_heads=(4, 4, 8, 8, 8, 4),
        decoder_feed_forward=(3072, 3072, 3072, 3072),
        decoder_heads=(8, 8, 8, 4),
        cross_heads=(4, 8, 8, 8),
        attended=(1, 2, 2, 1),
    ),
    "HAT_wmt14ende_xeon@450.9ms_bleu@28.5": Architecture(
        encoder_embedding=512,
        decoder_embedding=512,
        encoder_feed_forward=_WIDE,
        encoder_heads=(4, 4, 8, 8, 8, 4),
        decoder_feed_forward=_WIDE,
        decoder_heads=(8, 8, 8, 4, 4, 4),
        cross_heads=(4, 8, 8, 8, 8, 8),
        attended=(1, 2, 2, 2, 1, 1),
    ),
    "HAT_wmt14ende_titanxp@146.7ms_bleu@28.1": Architecture(
        encoder_embedding=640,
        decoder_embedding=640,
        encoder_feed_forward=_WIDE,
        encoder_heads=(4, 8, 8, 8, 4, 4),
        decoder_feed_forward=(3072, 3072, 3072),
        decoder_heads=(8, 8, 8),
        cross_heads=(4, 8, 8),
        attended=(1, 2, 2),
    ),
    "HAT_wmt14ende_titanxp@208.1ms_bleu@28.5": Architecture(
        encoder_embedding=512,
        decoder_embedding=512,
        encoder_feed_forward=_WIDE,
        encoder_heads=(8, 4, 8, 8, 8, 4),
        decoder_feed_forward=(2048, 2048, 3072, 3072, 3072),
        decoder_heads=(8, 8, 8, 4, 8),
        cross_heads=(4, 8, 8, 8, 8),
        attended=(1, 2, 2, 2, 1),
    ),
}
"""By the names that ``published-bleu`` knows them by: device and latency there, and BLEU."""
