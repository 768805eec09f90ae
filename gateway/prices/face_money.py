"""How money and the few fixed words of a face are written, by currency and language.

Not here: pixels. A shop has one currency (`Style.currency`); a price in another one is refused, because a face that
shows the wrong symbol shows the wrong price.
"""

from typing import NamedTuple

from gateway.errors import Refused
from gateway.prices.face_content import Style

# ISO 4217 minor units that are not 2.
_MINOR_DIGITS = dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0) | dict.fromkeys(
    ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3
)
_SYMBOLS = {
    "AUD": "$", "BRL": "R$", "CAD": "$", "CNY": "¥", "CZK": "Kč", "DKK": "kr", "EUR": "€", "GBP": "£", "HKD": "HK$",
    "HUF": "Ft", "ILS": "₪", "INR": "₹", "JPY": "¥", "KRW": "₩", "MXN": "$", "NOK": "kr", "NZD": "$", "PHP": "₱",
    "PLN": "zł", "SEK": "kr", "SGD": "S$", "THB": "฿", "TRY": "₺", "TWD": "NT$", "UAH": "₴", "USD": "$", "VND": "₫",
}  # fmt: skip
_ALWAYS_AFTER = {"CZK", "DKK", "HUF", "NOK", "PLN", "SEK", "UAH", "VND"}
# Languages that write 1.234,50 and, for what they do not share, who writes the euro in front.
_COMMA = {"bg", "cs", "da", "de", "el", "es", "fi", "fr", "hr", "hu", "id", "it", "lt", "lv", "nb", "nl", "nn", "no",
          "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "tr", "uk", "vi"}  # fmt: skip
_SPACE_GROUPS = {"bg", "cs", "fi", "fr", "hu", "lt", "lv", "nb", "nn", "no", "pl", "ru", "sk", "sv", "uk"}
_EURO_BEFORE = {"en", "ga", "mt", "nl", "zh", "ja", "ko"}


class Words(NamedTuple):
    """The fixed words of a face."""

    unit_price: str
    offer: str
    spare: str


_WORDS = {
    "en": Words("unit price", "OFFER", "free label"),
    "zh": Words("单价", "特价", "空闲价签"),
    "de": Words("Grundpreis", "ANGEBOT", "freies Etikett"),
    "fr": Words("prix unitaire", "PROMO", "étiquette libre"),
    "es": Words("precio por unidad", "OFERTA", "etiqueta libre"),
    "it": Words("prezzo unitario", "OFFERTA", "etichetta libera"),
    "nl": Words("prijs per eenheid", "ACTIE", "vrij label"),
    "pt": Words("preço unitário", "OFERTA", "etiqueta livre"),
    "pl": Words("cena jedn.", "PROMOCJA", "wolna etykieta"),
    "ja": Words("単価", "特価", "未使用ラベル"),
    "ko": Words("단가", "특가", "빈 라벨"),
}


def words(language: str) -> Words:
    """Return the words of a language tag (`zh-Hans` -> Chinese), English for those we do not know."""
    return _WORDS.get(primary(language), _WORDS["en"])


def primary(language: str) -> str:
    """Return the first part of a language tag, in lower case."""
    return language.replace("_", "-").split("-")[0].lower()


def style_for(currency: str, languages: tuple[str, ...] | list[str] = ("en",), link_base: str | None = None) -> Style:
    """Return how a shop with this currency and these languages (most wanted first) writes its faces."""
    language = languages[0] if languages else "en"
    main = primary(language)
    digits = _MINOR_DIGITS.get(currency, 2)
    symbol = _SYMBOLS.get(currency, currency)
    after = currency in _ALWAYS_AFTER or (currency == "EUR" and main not in _EURO_BEFORE) or symbol == currency
    group = " " if main in _SPACE_GROUPS else "." if main in _COMMA else ","
    decimal = "," if main in _COMMA else "."
    return Style(language, currency, symbol, after, digits, decimal, group, (link_base or Style.link_base).rstrip("/"))


def split_money(minor: int, style: Style) -> tuple[str, str]:
    """Return the whole part and the minor digits: 1234567 -> ("12,345", "67"). Groups from five digits on."""
    if minor < 0:
        raise Refused(f"a price of {minor} is below zero")
    whole, part = divmod(minor, 10**style.minor_digits)
    text = f"{whole:,}".replace(",", style.group) if whole >= 10_000 else str(whole)
    return text, f"{part:0{style.minor_digits}d}" if style.minor_digits else ""


def write_money(minor: int, style: Style) -> str:
    """Return money as one line of text: `¥12.90`, `12,90 €`, `¥129`."""
    whole, part = split_money(minor, style)
    number = f"{whole}{style.decimal}{part}" if part else whole
    return f"{number} {style.symbol}" if style.symbol_after else f"{style.symbol}{number}"
