"""A read-only server: the archive that it opens writes no report."""

from pathlib import Path

import pytest

from graph.answer import Answer, Turn
from graph.errors import ReportsOff
from lorgnette.archive import open_archive
from lorgnette.settings import Settings


def test_the_archive_of_a_read_only_server_remembers_and_writes_no_report(
    settings: Settings, answer: Answer, tmp_path: Path
) -> None:
    turn = Turn(question="Which?", images=[], asked_at="2026-01-01T00:00:00", said="", evidence=[], answer=answer)
    reading = open_archive(settings.model_copy(update={"read_only": True, "reports": tmp_path / "reports"}))
    writing = open_archive(settings.model_copy(update={"reports": tmp_path / "reports"}))
    assert reading is not None and writing is not None
    with pytest.raises(ReportsOff, match="read_only"):
        reading.save([turn], "mine")
    assert not (tmp_path / "reports").exists()
    assert writing.save([turn], "mine").parent == tmp_path / "reports"
