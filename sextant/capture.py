"""``sextant capture``: queries, keys and values of a model that lies in a local folder."""

from __future__ import annotations

from pathlib import Path

import click

from workloads.errors import ConfigError, WorkloadError


@click.command("capture")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write, .npz.")
@click.option("--text", help="What the model reads; needs a tokenizer in FOLDER.")
@click.option("--text-file", type=click.Path(path_type=Path), help="A file with that text, UTF-8.")
@click.option("--ids", help="Token ids in place of text, e.g. 101,7592,102.")
@click.option("--max-tokens", type=int, default=512, show_default=True, help="Tokens after which the input is cut off.")
@click.option("--prompt", type=int, help="Tokens read at once; the others count as generated.  [default: all]")
@click.option("--generation-only", is_flag=True, help="The prompt's own queries are not run.")
def capture_command(
    folder: Path,
    out: Path,
    text: str | None,
    text_file: Path | None,
    ids: str | None,
    max_tokens: int,
    prompt: int | None,
    generation_only: bool,
) -> None:
    """Run the Hugging Face model in FOLDER once and write the queries, keys and values of every head.

    FOLDER is what save_pretrained writes; nothing is downloaded. The file is a workload of the machines that run
    attention: sextant simulate spatten FILE. Needs the extra traces: pip install 'sextant[traces]'.
    """
    given = {"--text": text, "--text-file": text_file, "--ids": ids}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        got = " and ".join(named) or "nothing to read"
        raise ConfigError("command line", "", got, "one of --text, --text-file, --ids")
    from workloads.attention.capture import capture

    attention = capture(
        folder,
        _text(text_file) if text_file is not None else _token_ids(ids) if ids is not None else text or "",
        out,
        max_tokens=max_tokens,
        prompt=prompt,
        summarise=not generation_only,
    )
    form = "causal" if attention.causal else "all to all"
    click.echo(
        f"wrote {out}: {attention.layers} layers, {attention.heads} heads, {attention.tokens} tokens, "
        f"{attention.head_dim} dimensions, {form}"
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise WorkloadError(str(path), "", error.strerror or str(error), "a file that can be read") from None
    except UnicodeDecodeError:
        raise WorkloadError(str(path), "", "bytes that are not UTF-8", "a text") from None


def _token_ids(ids: str) -> list[int]:
    try:
        return [int(part) for part in ids.split(",")]
    except ValueError:
        raise ConfigError("command line", "--ids", ids, "whole numbers with commas between") from None
