"""What people ask of a handbook in their language, by words alone: the answer is shown, and nothing for the rest."""

from collections.abc import Callable, Iterator

import pytest

from retrieval.knowledge_base import KnowledgeBase
from retrieval.settings import RetrievalSettings

HANDBOOKS = {
    "fr": """\
# Règlement intérieur

## Congés payés
Chaque salarié dispose de 25 jours ouvrés de congés par an. Les demandes sont déposées deux semaines à l'avance.

## Frais
Les notes de frais sont remboursées sous 30 jours. Le plafond des repas est de 19 euros.
""",
    "es": """\
# Reglamento

## Vacaciones
Cada empleado tiene 22 días laborables de vacaciones al año. La solicitud se presenta con dos semanas de antelación.

## Gastos
Los gastos de viaje se reembolsan en 30 días. La dieta es de 40 euros.
""",
    "ru": """\
# Правила

## Отпуск
Каждый сотрудник имеет право на 28 календарных дней отпуска в год. Заявление подаётся за две недели.

## Пропуска
Пропуск в здание выдаёт охрана на первом этаже.
""",
    "tr": """\
# Personel Yönetmeliği

## Yıllık İzin
Çalışanların yıllık izni 20 gündür. İzin talepleri iki hafta önceden yapılmalıdır.

## Kartlar
Giriş kartınızı kaybederseniz güvenliğe haber verin.
""",
    "pl": """\
# Regulamin pracy

## Urlop
Pracownikowi przysługuje 26 dni urlopu wypoczynkowego w roku. Wniosek składa się dwa tygodnie wcześniej.

## Parking
Miejsca parkingowe są na poziomie minus jeden.
""",
    "ja": """\
# 就業規則

## 有給休暇
年次有給休暇は年間20日付与されます。申請は2週間前までに行ってください。

## 入館証
入館証を紛失した場合は、総務部に連絡してください。
""",
    "ko": """\
# 취업 규칙

## 연차 휴가
직원은 연간 15일의 연차 휴가를 사용할 수 있습니다. 신청은 2주 전에 해야 합니다.

## 출입증
출입증을 분실한 경우 총무팀에 연락하십시오.
""",
    "zh": """\
# 员工手册

## 年假
员工每年享有十天年假，年假不得跨年累积。

## 门禁卡
门禁卡遗失后请立即联系行政部补办。
""",
}

Opened = Callable[[str], KnowledgeBase]


@pytest.fixture(scope="module")
def base_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    bases: dict[str, KnowledgeBase] = {}

    def opened(language: str) -> KnowledgeBase:
        if language not in bases:
            folder = tmp_path_factory.mktemp(language)
            (folder / "a.md").write_text(HANDBOOKS[language], "utf-8")
            settings = RetrievalSettings(kb=folder, embedder="no-such-model", reranker="none")
            bases[language] = KnowledgeBase(settings, tmp_path_factory.mktemp("home"))
            bases[language].sync()
        return bases[language]

    yield opened
    for base in bases.values():
        base.close()


@pytest.mark.parametrize(
    ("language", "question", "answer"),
    [
        ("fr", "quand dois-je demander mes congés ?", "deux semaines"),
        ("fr", "quel est le montant maximal pour un repas ?", "19 euros"),
        ("fr", "en combien de temps suis-je remboursé ?", "30 jours"),
        ("es", "¿cuándo tengo que solicitar las vacaciones?", "dos semanas"),
        ("es", "¿cuánto tardan en reembolsarme el viaje?", "30 días"),
        ("ru", "сколько дней отпуска мне положено?", "28"),
        ("ru", "как попасть в здание?", "охрана"),
        ("tr", "kaç gün iznim var?", "20"),
        ("tr", "kartımı kaybettim ne yapmalıyım?", "haber verin"),
        ("pl", "kiedy złożyć wniosek o urlop?", "dwa tygodnie"),
        ("pl", "ile mam dni urlopu?", "26"),
        ("ja", "有給は何日ありますか？", "20日"),
        ("ja", "入館証をなくしたらどうすればいいですか？", "総務部"),
        ("ko", "휴가는 며칠인가요?", "15일"),
        ("ko", "출입증을 잃어버렸어요", "총무팀"),
        ("zh", "年假能结转吗", "不得跨年"),
        ("zh", "门禁卡丢了怎么办", "行政部"),
    ],
)
def test_the_answer_comes_first_although_the_question_is_put_in_other_words(
    base_in: Opened, language: str, question: str, answer: str
) -> None:
    hits = base_in(language).search(question).hits
    assert hits, "an answer that is there is never hidden"
    assert answer in hits[0].text


@pytest.mark.parametrize(
    ("language", "question"),
    [
        ("fr", "qui est le directeur ?"),
        ("es", "¿quién es el jefe?"),
        ("ru", "какая погода завтра?"),
        ("tr", "yemek ücreti ne kadar?"),
        ("pl", "kto jest prezesem?"),
        ("ja", "社長は誰ですか？"),
        ("ko", "사장님은 누구예요?"),
        ("zh", "公司的老板是谁"),
    ],
)
def test_what_the_handbook_is_silent_about_finds_nothing(base_in: Opened, language: str, question: str) -> None:
    assert not base_in(language).search(question).hits
