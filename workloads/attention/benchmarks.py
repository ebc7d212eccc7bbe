"""The 30 benchmarks that SpAtten was published with, and what is known of them.

Source: Wang, Zhang and Han, "SpAtten: Efficient Sparse Attention Architecture with Cascade Token and Head Pruning",
HPCA 2021 (arXiv 2012.09852). The list of tasks and the lengths are taken at second hand, from a review of the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

GLUE = ("CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI")
SQUAD = ("SQuAD v1.1", "SQuAD v2.0")
LANGUAGE_MODELLING = ("WikiText-2", "WikiText-103", "Penn Treebank", "One Billion Word")


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A model on a task.

    Attributes
    ----------
    model : str
        A name of ``workloads.attention.models.MODELS``.
    task : str
        Data set it is run on.
    length : int or None
        Tokens read at once and, where some are generated, before them; None where it is not known.
    generate : int
        Tokens generated after them, whose queries are the ones that are timed; 0 where the model only reads.
    known : str
        What is known of the length and where from.
    """

    model: str
    task: str
    length: int | None
    generate: int
    known: str

    @property
    def workload(self) -> str | None:
        """What ``open_attention`` takes for it; None where the length is not known."""
        if self.length is None:
            return None
        if self.generate:
            return f"{self.model}:prompt={self.length},generate={self.generate},summarise=0"
        return f"{self.model}:length={self.length}"


BENCHMARKS: tuple[Benchmark, ...] = (
    *(
        Benchmark(
            model=model,
            task=task,
            length=None,
            generate=0,
            known="the average of the task's development set; the number was not recovered",
        )
        for model in ("bert-base", "bert-large")
        for task in (*GLUE, *SQUAD)
    ),
    *(
        Benchmark(
            model=model,
            task=task,
            length=992,
            generate=32,
            known="a prompt of 992 tokens, then 32 generated; the released tables run from 993 to 1024 tokens",
        )
        for model in ("gpt2-small", "gpt2-medium")
        for task in LANGUAGE_MODELLING
    ),
)
"""22 of BERT and 8 of GPT-2."""
