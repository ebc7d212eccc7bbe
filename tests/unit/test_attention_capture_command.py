"""``sextant capture``: from a model's folder to a trace that is simulated. Recording needs the extra ``traces``."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import sextant


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(3)
    config = transformers.GPT2Config(vocab_size=50, n_layer=2, n_head=4, n_embd=32)
    transformers.GPT2Model(config).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.filterwarnings("ignore")
def test_what_is_captured_can_be_simulated(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "trace.npz"
    ran = sextant("capture", model, "--out", out, "--ids", "3,1,4,1,5,9,2,6", "--prompt", 6, "--generation-only")
    assert (ran.code, ran.out) == (0, f"wrote {out}: 2 layers, 4 heads, 8 tokens, 8 dimensions, causal\n")
    report = json.loads(sextant("simulate", "spatten", out, "--json").out)
    assert [layer["name"] for layer in report["layers"]] == [f"token {t}, layer {n}" for t in (6, 7) for n in (0, 1)]
    assert report["quality"]["output_error"] < 0.1


@pytest.mark.filterwarnings("ignore")
def test_text_needs_a_tokenizer(model: Path, tmp_path: Path) -> None:
    ran = sextant("capture", model, "--out", tmp_path / "trace.npz", "--text", "some words")
    need = "a tokenizer's files beside the model, or token ids"
    assert (ran.code, ran.err) == (2, f"sextant: {model}: tokenizer is missing, need {need}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "command line: nothing to read, need one of --text, --text-file, --ids"),
        (["--text", "a", "--ids", "1"], "command line: --text and --ids, need one of --text, --text-file, --ids"),
        (["--ids", "1,two"], "command line: --ids = 1,two, need whole numbers with commas between"),
        (["--text-file", "nowhere.txt"], "nowhere.txt: No such file or directory, need a file that can be read"),
    ],
)
def test_what_it_is_to_read_has_to_be_said_once(arguments: list[str], said: str, tmp_path: Path) -> None:
    ran = sextant("capture", tmp_path, "--out", tmp_path / "trace.npz", *arguments)
    assert (ran.code, ran.out, ran.err) == (2, "", f"sextant: {said}\n")


def test_a_text_has_to_be_text(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(b"\xff\xfe\x00")
    ran = sextant("capture", tmp_path, "--out", tmp_path / "trace.npz", "--text-file", tmp_path / "text.txt")
    said = f"sextant: {tmp_path / 'text.txt'}: bytes that are not UTF-8, need a text\n"
    assert (ran.code, ran.err) == (2, said)


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == "torch":
            raise ImportError(name, name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    ran = sextant("capture", tmp_path, "--out", tmp_path / "trace.npz", "--ids", "1")
    need = "torch and transformers: pip install 'sextant[traces]'"
    assert (ran.code, ran.err) == (2, f"sextant: capture: torch is missing, need {need}\n")
