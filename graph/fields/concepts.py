"""What the words of labels and of fields' names mean, so that `total` is `Gesamtbetrag` and never `Subtotal`.

A word that is not listed means itself.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from graph.fields.sheet import fold
from retrieval.function_words import function_words
from retrieval.tokens import document_tokens

_LISTED = {
    "number": "number no nr num nbr numero numéro número nummer code id identifier reference ref referenz # № n° nº 号"
    " 号码 编号 单号 番号 번호",
    "date": "date dated datum data fecha dato 日期 日付 날짜",
    "invoice": "invoice inv bill rechnung rechnungs facture factura fattura fatura faktura factuur 发票 开票"
    " 请求书 請求書",
    "receipt": "receipt beleg quittung kassenbon bon reçu recibo ricevuta 收据 小票",
    "order": "order bestellung bestell auftrag auftrags commande pedido ordine po 订单 注文",
    "delivery": "delivery delivered liefer lieferung shipping ship livraison entrega consegna 交货 送货",
    "customer": "customer client buyer kunde kunden cliente klant kund acheteur 客户 买方 购买方 顧客",
    "supplier": "supplier vendor seller merchant lieferant verkäufer fournisseur vendeur proveedor fornitore 供应商"
    " 卖方 销售方",
    "total": "total gesamt gesamtbetrag gesamtsumme summe endbetrag rechnungsbetrag rechnungssumme bruttobetrag brutto"
    " totale totaal 总计 合计 总额 总金额 价税合计 合計 총액 gross ttc",
    "net": "net netto nettobetrag subtotal sub-total zwischensumme sous-total hors imponibile 小计 小計 ht untaxed",
    "tax": "tax vat gst mwst ust umsatzsteuer mehrwertsteuer steuer steuerbetrag tva iva btw moms 税 税额 消費税",
    "due": "due fällig fälligkeit fälligkeits zahlbar payable échéance vencimiento scadenza 到期 到期日",
    "paid": "paid payment bezahlt zahlung paiement pagado pagato 已付",
    "discount": "discount rabatt skonto remise descuento sconto 折扣 优惠",
    "quantity": "quantity qty menge anzahl quantité cantidad quantità 数量",
    "price": "price preis einzelpreis prix precio prezzo 单价 价格",
    "currency": "currency währung devise moneda valuta 币种 货币",
    "name": "name named nom nombre nome 名称 姓名 名字",
    "address": "address adresse anschrift dirección indirizzo 地址",
    "phone": "phone telephone tel telefon téléphone teléfono mobile 电话 手机",
    "email": "email e-mail mail 邮箱 电子邮件",
    "serial": "serial seriennummer serien série 序列号",
    "period": "period zeitraum période 期间",
}
_GENERIC = frozenset(["amount", "betrag", "montant", "importe", "importo", "value", "金额"])
"""What means little beside other words, and itself alone."""
_CURRENCIES = frozenset(("eur", "usd", "gbp", "chf", "jpy", "cny", "inr"))
_PHRASES = tuple(
    (re.compile(pattern), put)
    for pattern, put in (
        (
            r"\b(?:incl\.?|including|inkl\.?|inclusive|inclusief)(?: of)?\s*\S*\s?(?:vat|tax|gst|mwst|ust|btw)\b\.?",
            " total ",
        ),
        (
            r"\b(?:excl\.?|excluding|exkl\.?|zzgl\.?|ohne|before|exclusief)\s*\S*\s?(?:vat|tax|gst|mwst|ust|btw)\b\.?",
            " net ",
        ),
        (r"\bamount (?:due|payable|to pay)\b|\bbalance due\b|\bgrand total\b|\btotal (?:due|payable)\b", " total "),
        (r"\bpayment due(?: date)?\b|\bpay(?:able)? by\b|\bzahlbar bis\b", " due "),
        (r"\bsub[ -]?total\b|\bsous[ -]total\b|\btotal (?:net|netto|ht)\b", " net "),
        (r"[(（]?[小大]写[)）]?", " "),
        (r"\bzu zahlen(?:der betrag)?\b|\b应付金额\b", " total "),
        (r"\b(?:bill|billed|invoice|invoiced|sold) to\b", " customer "),
        (r"\be[ -]mail\b", " email "),
    )
)
_KNOWN = {word: name for name, words in _LISTED.items() for word in words.split()}
DOCUMENTS = frozenset({"invoice", "receipt", "order"})
"""What a whole document may be: its labels need not repeat it."""
QUALIFIERS = frozenset(
    "number date net tax due paid discount quantity address phone email period currency serial delivery".split()  # noqa: SIM905
)
"""A label that says one of these besides names something else: `Customer number` is no customer."""
OF_A_TOTAL = DOCUMENTS | frozenset(
    ("price", "cost", "charge", "pay", "payabl", "sum", "final", "full", "purchas", "sale", "bill", "due", "customer")
)
"""All that the label of a total may say besides: `Total savings` and `Total weight` are other things."""
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_WORD = re.compile(r"#|№|n[°º]|[^\W_]+(?:['’.-][^\W_]+)*")
_CAMEL = re.compile(r"(?<=[a-zäöü])(?=[A-ZÄÖÜ])")
_JOINTS = ("", "s", "n", "en", "er")
_SHORTEST_PART, _LONGEST = 3, 48


def of_name(name: str) -> frozenset[str]:
    """Return what a field's name means; with nothing but generic words in it, those."""
    words = re.sub(r"[_\-./]+", " ", _CAMEL.sub(" ", name))
    return of_words(words) or frozenset(fold(words).split()) or frozenset({name})


@lru_cache(4_096)
def of_words(text: str) -> frozenset[str]:
    """Return what the words of a label mean, without those that mean little."""
    folded = fold(text)
    for pattern, put in _PHRASES:
        folded = pattern.sub(put, folded)
    words = _WORD.findall(folded)
    found = frozenset(meaning for word in words for meaning in _meanings(word))
    return found or frozenset(word for word in words if word in _GENERIC)


def in_chinese_bill(text: str, means: frozenset[str], other_words: str) -> frozenset[str]:
    """Return what a label means beside other words: a sum is a net one where another is said to hold the tax."""
    is_net = "合计" in text and "价税" not in text and "价税合计" in other_words
    return means - {"total"} | {"net"} if is_net else means


def fits(name: frozenset[str], label: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return what of a name its label lacks, and what the label says besides."""
    pairs = {(one, other) for one in name for other in label if _same(one, other)}
    return name - {one for one, _ in pairs}, label - {other for _, other in pairs}


def is_listed(label: frozenset[str]) -> bool:
    """Return whether a label says something that labels say."""
    return bool(label & _LISTED.keys())


def _meanings(word: str) -> Iterator[str]:
    bare = word.rstrip(".")
    if bare in _GENERIC or bare in _CURRENCIES or (bare in function_words("en") and bare not in _KNOWN):
        return
    if bare in _KNOWN:
        yield _KNOWN[bare]
    elif _CJK.fullmatch(bare):
        yield from _cut(bare)
    elif (parts := _compound(bare)) is not None:
        yield from parts
    else:
        yield from list(document_tokens(bare))[:1]


def _compound(word: str) -> list[str] | None:
    """Return the meanings of a word that is put together from listed ones, as German ones are."""
    if len(word) > _LONGEST:
        return None
    if word in ("nr", "no"):
        return ["number"]
    for end in range(len(word), _SHORTEST_PART - 1, -1):
        for joint in _JOINTS:
            part = word[:end].removesuffix(joint) if joint else word[:end]
            if part not in _KNOWN or len(part) < (_SHORTEST_PART if part.isascii() else 4):
                continue
            if end == len(word):
                return [_KNOWN[part]]
            if (rest := _compound(word[end:].lstrip("-"))) is not None:
                return [_KNOWN[part], *rest]
    return None


def _cut(word: str) -> Iterator[str]:
    """Cut a run of Chinese into listed words, longest first; what is between them means itself."""
    at, other = 0, ""
    while at < len(word):
        end = next((end for end in range(min(len(word), at + 5), at, -1) if word[at:end] in _KNOWN), None)
        if end is None:
            other += word[at]
            at += 1
            continue
        if other:
            yield other
        yield _KNOWN[word[at:end]]
        at, other = end, ""
    if other and other not in _GENERIC:
        yield other


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    if one in _LISTED or other in _LISTED:
        return False
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= 5 and longer.startswith(shorter) and len(longer) - len(shorter) <= 2
