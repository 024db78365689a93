"""A whole evaluation on the bundled checkpoint: what is measured, kept, resumed, left out and shown."""

import json
import re
import shutil
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from PIL import Image

from finetune.config.loading import load_config
from finetune.data.configured import read_data
from finetune.data.dataset import read_dataset
from finetune.data.drawn.scene_rows import write_scenes
from finetune.data.sample import ImageFile, Message, Origin, Sample
from finetune.evaluation.answering import Answering
from finetune.evaluation.cases import PredictionsUnusable, case_of, read_predictions
from finetune.evaluation.evaluate import Measuring, NothingSuits, NothingToEvaluate, evaluate, evaluate_predictions
from finetune.evaluation.journal import Journal
from finetune.evaluation.judge import mark_all
from finetune.evaluation.metrics.choice import MetricFitsNothing
from finetune.evaluation.outcome import ALL, Outcome
from model.adapters.attach import AdapterMismatch
from model.errors import ModelError
from model.qwen3_vl.load import load
from model.settings import ModelSettings

pytestmark = pytest.mark.training

PICTURES, QUESTIONS = 6, 1
SHORT = Answering(max_new_tokens=8)


@pytest.fixture(autouse=True)
def quiet_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(PICTURES, tmp_path_factory.mktemp("scenes"), seed=5, questions=QUESTIONS)


@pytest.fixture(scope="module")
def samples(rows: Path) -> list[Sample]:
    return read_dataset(rows).samples


def make_adapter(folder: Path, *, strong: bool, r: int = 4) -> Path:
    """Save a LoRA, as it begins (the same as the base) or with weights that change every answer."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(
        r=r, lora_alpha=32, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=not strong
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(load(ModelSettings(model="tiny")).model, config)
        model.peft_config["default"].base_model_name_or_path = "tiny"
        model.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


@pytest.fixture(scope="module")
def base_answers(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of the base's answers to all rows, made once; `begun` puts it where a test evaluates."""
    folder = tmp_path_factory.mktemp("base")
    evaluate(samples, SHORT, Measuring(folder))
    return folder / "answers.jsonl"


def begun(folder: Path, base_answers: Path) -> Path:
    folder.mkdir(exist_ok=True)
    shutil.copy(base_answers, folder)
    return folder


@pytest.fixture(scope="module")
def strong_adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(tmp_path_factory.mktemp("strong"), strong=True)


def answers(outcome: Outcome, name: str) -> list[str | None]:
    return list(outcome.said[name])


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text("utf-8"))


class Counted:
    """Notes how many answers were there when the answering began."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.steps: list[tuple[str, int, int]] = []
        self.stop_after = stop_after

    def __call__(self, what: str, done: int, total: int) -> None:
        self.steps.append((what, done, total))
        if self.stop_after is not None and what == "answering" and done >= self.stop_after:
            raise KeyboardInterrupt

    @property
    def there(self) -> int | None:
        return next((done for what, done, _ in self.steps if what == "answering"), None)


def test_batches_and_single_rows_are_answered_alike(samples: list[Sample], base_answers: Path, tmp_path: Path) -> None:
    together = evaluate(samples, SHORT, Measuring(begun(tmp_path / "a", base_answers)))
    one_by_one = evaluate(samples, replace(SHORT, batch_tokens=1), Measuring(tmp_path / "b"))
    assert answers(together, "base") == answers(one_by_one, "base")
    assert len({len(text or "") for text in answers(together, "base")}) > 1


def test_an_adapter_that_has_learned_nothing_differs_by_nothing(samples: list[Sample], tmp_path: Path) -> None:
    answering = replace(SHORT, adapter=make_adapter(tmp_path / "fresh", strong=False), base=True)
    outcome = evaluate(samples, answering, Measuring(tmp_path / "out"))
    assert outcome.names == ("adapter", "base")
    difference = outcome.table[ALL]["exact"].difference
    assert difference is not None
    assert (difference.mean, difference.low, difference.high) == (0, 0, 0)


def test_base_beside_adapter_is_the_base_as_it_is_alone(
    samples: list[Sample], base_answers: Path, strong_adapter: Path, tmp_path: Path
) -> None:
    answering = replace(SHORT, adapter=strong_adapter, base=True)
    both = evaluate(samples, answering, Measuring(tmp_path / "both"))
    alone = evaluate(samples, SHORT, Measuring(begun(tmp_path / "alone", base_answers)))
    assert answers(both, "base") == answers(alone, "base")
    assert answers(both, "adapter") != answers(both, "base")


def test_the_table_holds_the_means_of_the_rows(samples: list[Sample], base_answers: Path, tmp_path: Path) -> None:
    outcome = evaluate(samples, SHORT, Measuring(begun(tmp_path, base_answers), metrics=("exact",)))
    right = [case_of(s).answer == said for s, said in zip(samples, answers(outcome, "base"), strict=True)]
    texts = [s.category != "locate" for s in samples]
    cell = results(tmp_path)["table"]["all"]["exact"]["of"]["base"]
    assert cell["mean"] == pytest.approx(100 * sum(right) / sum(texts))
    assert cell["number"] == sum(texts)
    by_category = results(tmp_path)["table"]
    assert set(by_category) - {"all"} == {s.category for s in samples}
    assert results(tmp_path)["rows_of"]["all"] == len(samples)
    written = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert [row["id"] for row in written] == [s.id for s in samples]


def test_a_stopped_evaluation_goes_on_where_it_was(samples: list[Sample], base_answers: Path, tmp_path: Path) -> None:
    slow = replace(SHORT, batch_tokens=1)
    with pytest.raises(KeyboardInterrupt):
        evaluate(samples, slow, Measuring(tmp_path), watch=Counted(stop_after=3))
    assert not (tmp_path / "results.json").exists()
    with (tmp_path / "answers.jsonl").open("ab") as journal:
        journal.write(b'{"key": "cut off by the ki')
    again = Counted()
    resumed = evaluate(samples, SHORT, Measuring(tmp_path), watch=again)
    assert again.there == 3
    whole = evaluate(samples, SHORT, Measuring(begun(tmp_path / "whole", base_answers)))
    assert answers(resumed, "base") == answers(whole, "base")
    assert results(tmp_path)["table"] == results(tmp_path / "whole")["table"]


def test_another_metric_costs_no_answer_and_another_adapter_does(
    samples: list[Sample], base_answers: Path, strong_adapter: Path, tmp_path: Path
) -> None:
    begun(tmp_path, base_answers)
    metric = Counted()
    evaluate(samples, SHORT, Measuring(tmp_path, metrics=("bleu-4",)), watch=metric)
    assert metric.there is None
    adapter = Counted()
    trained = Path(shutil.copytree(strong_adapter, tmp_path / "adapter"))
    evaluate(samples, replace(SHORT, adapter=trained, base=True), Measuring(tmp_path), watch=adapter)
    assert adapter.there == len(samples)  # those of the base
    make_adapter(trained, strong=False)  # trained again into the same folder
    changed = Counted()
    evaluate(samples, replace(SHORT, adapter=trained, base=True), Measuring(tmp_path), watch=changed)
    assert changed.there == len(samples)


def test_a_changed_picture_is_looked_at_again(tmp_path: Path) -> None:
    sample = coloured(tmp_path, "red")
    evaluate([sample], SHORT, Measuring(tmp_path / "out"))
    Image.new("RGB", (96, 64), "blue").save(tmp_path / "red.png", compress_level=0)
    again = Counted()
    evaluate([sample], SHORT, Measuring(tmp_path / "out"), watch=again)
    assert again.there == 0


def coloured(folder: Path, color: str, answer: str = "red", category: str | None = None) -> Sample:
    Image.new("RGB", (96, 64), color).save(folder / f"{color}.png")
    asked = Message("user", (ImageFile(folder / f"{color}.png"), "What color is it?"))
    origin = Origin(folder / "rows.jsonl", 1)
    return Sample(color, (asked, Message("assistant", (answer,))), origin, category)


def test_a_damaged_picture_is_left_out_and_counted(tmp_path: Path) -> None:
    good, bad = coloured(tmp_path, "red"), coloured(tmp_path, "blue")
    file = bad.pictures[0]
    file.write_bytes(file.read_bytes()[:-30])  # its header still tells its size
    outcome = evaluate([bad, good], SHORT, Measuring(tmp_path / "out"))
    assert [case.id for case in outcome.cases] == ["red"]
    (left_out,) = results(tmp_path / "out")["broken"]
    assert "damaged" in left_out["reason"]
    assert left_out["origin"] == "rows.jsonl:1"


def test_no_row_at_all_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(NothingToEvaluate, match=r"no row to evaluate in 'rows\.csv'"):
        evaluate([], SHORT, Measuring(tmp_path), source="rows.csv")
    gone = coloured(tmp_path, "red")
    gone.pictures[0].unlink()
    with pytest.raises(NothingToEvaluate, match="1 are broken"):
        evaluate([gone], SHORT, Measuring(tmp_path), source="rows.csv")


def test_what_cannot_be_measured_is_refused_before_anything_is_answered(tmp_path: Path) -> None:
    watch = Counted()
    with pytest.raises(MetricFitsNothing):
        evaluate([coloured(tmp_path, "red")], SHORT, Measuring(tmp_path, metrics=("box-iou",)), watch=watch)
    assert watch.steps == []


def test_an_adapter_for_another_model_is_refused(samples: list[Sample], strong_adapter: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(strong_adapter, tmp_path / "adapter"))
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    (folder / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["w_proj"]}), "utf-8")
    with pytest.raises(AdapterMismatch, match="'w_proj'"):
        evaluate(samples, replace(SHORT, adapter=folder), Measuring(tmp_path / "out"))


def test_a_prompt_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    good = coloured(tmp_path, "red")
    words = Message("user", ("word " * 40_000,))
    long = Sample("long", (words, Message("assistant", ("red",))), Origin(tmp_path / "rows.jsonl", 2))
    outcome = evaluate([good, long], SHORT, Measuring(tmp_path / "out"))
    (left_out,) = outcome.broken
    assert re.search(r"its prompt has [\d,]+ tokens", left_out.reason)


def test_rows_that_the_adapter_was_trained_on_are_warned_of_at_once_and_in_the_report(
    rows: Path, tmp_path: Path
) -> None:
    adapter = make_adapter(tmp_path / "run", strong=False)
    (adapter / "finetune.yaml").write_text(f"dataset: {rows}\nval_size: 2\n", "utf-8")
    data = read_data(load_config(adapter / "finetune.yaml"))
    copied = shutil.copytree(rows.parent / "images", tmp_path / "copies" / "images")
    held_back = [replace(sample, id=f"held {n}") for n, sample in enumerate(data.held_back)]
    again = [
        replace(sample, messages=tuple(moved(message, copied) for message in sample.messages))
        for sample in data.train[:3]
    ]
    other = replace(
        again[0], messages=(Message("user", (*again[0].messages[0].parts[:-1], "What else?")), again[0].messages[1])
    )
    said: list[str] = []
    answering = replace(SHORT, adapter=adapter, max_new_tokens=1)
    found = evaluate([*held_back, *again, other], answering, Measuring(tmp_path / "out"), say=said.append)
    assert list(found.warnings) == said and len(said) == 1
    assert said[0].startswith("3 of 6 rows were trained on, and 1 more ask")
    assert results(tmp_path / "out")["warnings"] == said
    assert "<b>Warning:</b> 3 of 6" in (tmp_path / "out" / "report.html").read_text("utf-8")
    clean = evaluate(held_back, answering, Measuring(tmp_path / "clean"), say=said.append)
    assert not clean.warnings and len(said) == 1
    rows_gone = (adapter / "finetune.yaml").read_text("utf-8").replace("scenes", "gone")
    (adapter / "finetune.yaml").write_text(rows_gone, "utf-8")
    unknown = evaluate(held_back, answering, Measuring(tmp_path / "clean"))
    assert "is not known" in unknown.warnings[0]


def test_the_documented_keys_of_the_results_are_those_that_are_written(samples: list[Sample], tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text("utf-8")
    table = page.partition("### results.json")[2].partition("## ")[0]
    evaluate(samples[:1], replace(SHORT, max_new_tokens=1), Measuring(tmp_path))
    documented = re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines() if line[:3] == "| `"))
    assert sorted(documented) == sorted(results(tmp_path))
    (row,) = map(json.loads, (tmp_path / "predictions.jsonl").read_text("utf-8").splitlines())
    listed = page.partition("| `predictions.jsonl` |")[2].partition("\n")[0]
    assert re.findall(r"`(\w+)`", listed) == list(row)


def moved(message: Message, folder: Path) -> Message:
    """The same message about copies of its pictures."""
    parts = (ImageFile(folder / part.path.name) if isinstance(part, ImageFile) else part for part in message.parts)
    return Message(message.role, tuple(parts))


def test_the_report_shows_the_worst_rows_and_is_one_harmless_file(tmp_path: Path) -> None:
    sample = coloured(tmp_path, "red", answer="<script>alert(1)</script> is not the color", category="<b>colors</b>")
    evaluate([sample, coloured(tmp_path, "blue")], SHORT, Measuring(tmp_path / "out"))
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; is not the color" in page
    assert "<script" not in page
    assert "<b>colors" not in page
    assert page.count('src="data:image/jpeg;base64,') == page.count("<img") > 0
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_predictions_that_were_written_are_measured_to_the_same_numbers(
    samples: list[Sample], base_answers: Path, tmp_path: Path
) -> None:
    made = evaluate(samples, SHORT, Measuring(begun(tmp_path / "made", base_answers)))
    read = read_predictions(tmp_path / "made" / "predictions.jsonl")
    again = evaluate_predictions(read, Measuring(tmp_path / "again"))
    assert results(tmp_path / "again")["table"] == results(tmp_path / "made")["table"]
    assert again.cases[0].pictures[0].exists()
    assert answers(again, "base") == answers(made, "base")


def test_what_llama_factory_predicted_is_measured_as_it_does(tmp_path: Path) -> None:
    file = tmp_path / "generated_predictions.jsonl"
    rows = [{"prompt": "user\n", "predict": "abcd", "label": "abce"}, {"prompt": "", "predict": "x", "label": "x"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    outcome = evaluate_predictions(read_predictions(file), Measuring(tmp_path, metrics=("bleu-4", "rouge-1")))
    # 59.4604 and 35.3553, worked out in test_metrics_overlap.py
    assert outcome.table[ALL]["bleu-4"].of["answers"].mean == pytest.approx((59.4604 + 35.3553) / 2, abs=1e-4)
    assert outcome.table[ALL]["rouge-1"].of["answers"].mean == 50.0


def test_predictions_are_found_by_id_and_missing_ones_are_told(tmp_path: Path) -> None:
    asked = [coloured(tmp_path, "red"), coloured(tmp_path, "blue", answer="blue")]
    file = tmp_path / "said.jsonl"
    file.write_text('{"id": "blue", "answer": "Blue."}\n', "utf-8")
    outcome = evaluate_predictions(read_predictions(file, asked), Measuring(tmp_path, metrics=("exact",)))
    assert answers(outcome, "answers") == [None, "Blue."]
    assert outcome.table[ALL]["exact"].of["answers"].mean == 100.0
    assert outcome.degraded == ["1 of 2 rows have no answer by answers, and are not in its means"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('{"id": "green", "prediction": "a"}\n', "share no id"),
        ('{"prediction": "a"}\n{"prediction": "b"}\n', "2 rows without ids"),
        ('{"id": "red"}\n', "no usable row"),
    ],
)
def test_predictions_of_other_questions_are_refused(lines: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    file.write_text(lines, "utf-8")
    with pytest.raises(PredictionsUnusable, match=reason):
        read_predictions(file, [coloured(tmp_path, "red")])


def test_rows_of_which_nothing_can_be_computed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finetune.evaluation.metrics import choice

    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    answer = '{"bbox_2d": [0, 0, 10, 10]}'
    with pytest.raises(NothingSuits, match="scipy"):
        evaluate([coloured(tmp_path, "red", answer=answer)], SHORT, Measuring(tmp_path / "out"))


class Judge(BaseHTTPRequestHandler):
    """An endpoint that streams what `says` makes of a question, and counts what it was asked."""

    asked: ClassVar[list[str]] = []
    says: ClassVar[Any] = staticmethod(lambda text: '{"score": 5}')

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"]
        text = question if isinstance(question, str) else question[0]["text"]
        Judge.asked.append(text)
        answer = Judge.says(text)
        if answer is None:
            self.send_error(401)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "judge"}
        for delta, end in (({"role": "assistant", "content": answer}, None), ({}, "stop")):
            event = {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelSettings]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(Judge, "asked", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Judge) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield ModelSettings(model=f"http://127.0.0.1:{server.server_port}/v1#judge", max_new_tokens=32)
        server.shutdown()
        thread.join()


def said(folder: Path, *texts: str) -> Any:
    file = folder / "said.jsonl"
    rows = [{"id": str(n), "question": "What is it?", "answer": "red", "prediction": t} for n, t in enumerate(texts)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return read_predictions(file)


def test_marks_become_percent_and_nonsense_is_counted_and_not_guessed(
    judge: ModelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = {"red": '{"score": 5}', "reddish": '{"score": 2}', "blue": '{"score": 7}', "green": "I would say 4"}
    by_answer = {f"Answer: {answer}\n": mark for answer, mark in marks.items()}
    monkeypatch.setattr(Judge, "says", staticmethod(lambda text: next(m for a, m in by_answer.items() if a in text)))
    measuring = Measuring(tmp_path / "out", judge=judge)
    outcome = evaluate_predictions(said(tmp_path, *marks), measuring)
    assert outcome.scores["answers"]["llm-match"] == [100.0, 25.0, None, None]  # 100 (5 - 1) / 4, 100 (2 - 1) / 4
    assert outcome.table[ALL]["llm-match"].of["answers"].mean == 62.5
    assert outcome.judge is not None
    assert (outcome.judge.marked, outcome.judge.unreadable) == (2, 2)
    assert "gave no mark for 2" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Right answer: red" in Judge.asked[0]


def test_what_a_judge_has_marked_is_not_asked_again(
    judge: ModelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = lambda text: None if "Answer: blue\n" in text else '{"score": 4}'  # noqa: E731 - a script of one line
    monkeypatch.setattr(Judge, "says", staticmethod(fails))
    measuring = Measuring(tmp_path / "out", judge=judge)
    predictions = said(tmp_path, "red", "rot", "blue", "red")
    with pytest.raises(ModelError):
        evaluate_predictions(predictions, measuring)
    assert len(Judge.asked) == 3
    monkeypatch.setattr(Judge, "says", staticmethod(lambda text: '{"score": 1}'))
    outcome = evaluate_predictions(predictions, measuring)
    assert len(Judge.asked) == 4  # blue alone; the second red is the first
    assert outcome.scores["answers"]["llm-match"] == [75.0, 75.0, 0.0, 75.0]
    namesake = judge.model_copy(update={"model": judge.model.replace("127.0.0.1", "localhost")})
    outcome = evaluate_predictions(predictions, replace(measuring, judge=namesake))
    assert len(Judge.asked) == 7 and outcome.scores["answers"]["llm-match"] == [0.0] * 4


def test_the_local_model_judges_in_the_form_that_is_asked_for(tmp_path: Path) -> None:
    from model.open import open_chat

    chat, identity = open_chat(ModelSettings(model="tiny", max_new_tokens=32))
    with Journal(tmp_path / "marks.jsonl") as journal:
        (mark,) = mark_all(chat, identity.name, [(said(tmp_path, "red").cases[0], "red")], journal)
    chat.close()  # type: ignore[attr-defined]  # a local model's
    assert mark.score in (1, 2, 3, 4, 5)
