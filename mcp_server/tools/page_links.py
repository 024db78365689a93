"""Links from what a tool cites to the pages on which it stands. It draws none."""

from collections.abc import Sequence

from mcp.types import ResourceLink

from graph.answer import Citation
from lorgnette.search_text import HitResult
from mcp_server.uris import page_uri

MOST_LINKS = 8


def page_links(cited: Sequence[Citation | HitResult]) -> list[ResourceLink]:
    """Return a link for each page that can be shown with words framed, at most eight."""
    seen = {one.id: one for one in cited if one.regions}
    return [
        ResourceLink(
            type="resource_link",
            uri=page_uri(one.id),
            name=f"{one.id[:8]}.png",
            title=f"{one.source[:200]}, page {one.regions[0].page}, words framed",
            mime_type="image/png",
        )
        for one in list(seen.values())[:MOST_LINKS]
    ]
