"""The command ``sextant``.

Commands import what they need when they run, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from importlib import import_module
from io import TextIOWrapper

import click

from sextant import __version__
from workloads.errors import Interrupted, SextantError

# What each command is for, in the order of the help text, and the module that holds it.
COMMANDS = {
    "simulate": ("simulate", "Run a workload on a machine and report cycles, traffic, energy and area."),
    "sweep": ("sweep", "Run machines over grids of parameters and lists of workloads, as a sweep file says."),
    "cosearch": ("cosearch", "Search network, operand widths and machine together, as a study file says."),
    "resume": ("cosearch", "Continue a stopped study or sweep, or raise a study's budget."),
    "retrain": ("retrain", "Train networks of a study's front, and say what the search has missed."),
    "plot": ("plot", "Draw a study's front, and the roofline and cycle stack of a chosen design."),
    "report": ("report", "Write a study as one HTML page."),
    "capture": ("capture", "Record queries, keys and values of a Hugging Face model in a local folder."),
    "export": ("cosearch", "Write the points of a study or sweep as CSV or Parquet."),
    "validate": ("validate", "Compare published numbers with ours."),
    "figure": ("figure", "Draw the figures of the papers, from our models."),
    "data": ("data", "Fetch published matrices that cannot be shipped."),
    "list": ("catalogue", "List machines, presets, networks and recipes."),
}


class Commands(click.Group):
    """Commands that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"sextant.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sextant")
@click.option("--debug", is_flag=True, help="Show a traceback with every error.")
def command(debug: bool) -> None:
    """Explore the design space of sparse and mixed-precision accelerators.

    \b
    sextant simulate bitfusion resnet18 --set rows=32
    sextant cosearch examples/edge_vision.toml --out study
    """  # noqa: D301 - \b is click's mark for lines to keep as they are


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every error is one line on stderr and an exit code.

    Exit codes: 2 bad input, 3 interrupted and resumable, 4 study folder unusable.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode still shows the rest
    try:
        command.main(args=arguments, prog_name="sextant", standalone_mode=False)
    except click.exceptions.Abort:
        _fail("stopped", Interrupted.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(SextantError.exit_code)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        _fail(f"{error.format_message()} (see sextant --help)", SextantError.exit_code)
    except SextantError as error:
        if "--debug" in arguments:
            raise
        _fail(str(error), error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has seen enough


def _fail(message: str, code: int) -> None:
    click.echo("sextant: " + " ".join(message.split()), err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
