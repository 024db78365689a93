"""`lorgnette graph`: the agent's state machine as a picture in words."""

import click


@click.command(short_help="Print the agent's state machine as Mermaid.")
def graph() -> None:
    """Print the agent's nodes and edges as a Mermaid diagram, which GitHub and most editors draw."""
    from graph.build import build_graph

    click.echo(build_graph().get_graph().draw_mermaid(with_styles=False))
