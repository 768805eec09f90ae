"""Bars of EAN-13, EAN-8 and Code 128 as strings of modules: "1" = ink, "0" = paper, quiet zones at both ends.

Pure tables and sums, no pixels. Sources: GS1 General Specifications 5.2 (EAN/UPC), ISO/IEC 15417 (Code 128).
"""

from itertools import pairwise

# GS1 General Specifications 5.2.1: digit sets A (odd), B (even), C; B is C read backwards, C is A with ink swapped.
_A = ("0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011")
_C = tuple(bars.translate(str.maketrans("01", "10")) for bars in _A)
_B = tuple(bars[::-1] for bars in _C)
# The first digit of EAN-13 is told by which of the next six are taken from set B.
_PARITY = ("AAAAAA", "AABABB", "AABBAB", "AABBBA", "ABAABB", "ABBAAB", "ABBBAA", "ABABAB", "ABABBA", "ABBABA")
_QUIET_EAN_13 = (11, 7)  # 5.2.3.4: left and right
_QUIET_UPC_A = (9, 9)
_QUIET_EAN_8 = (7, 7)
_QUIET_128 = 10

_WIDTHS = (  # noqa: SIM905 - a table of 107 words reads better than 107 quoted ones
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 "
    "123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 "
    "232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 "
    "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 "
    "111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 "
    "111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 "
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112"
).split()
_CODE_B, _FNC1, _START_B, _START_C, _STOP = 100, 102, 104, 105, 106


def ean_13(digits: str) -> str:
    """Return the 13 digits, check digit included, as 95 modules between quiet zones."""
    parity = _PARITY[int(digits[0])]
    left = "".join((_A if p == "A" else _B)[int(d)] for p, d in zip(parity, digits[1:7], strict=True))
    right = "".join(_C[int(d)] for d in digits[7:])
    before, after = _QUIET_UPC_A if digits[0] == "0" else _QUIET_EAN_13
    return f"{'0' * before}101{left}01010{right}101{'0' * after}"


def ean_8(digits: str) -> str:
    """Return the 8 digits, check digit included, as 67 modules between quiet zones."""
    left, right = "".join(_A[int(d)] for d in digits[:4]), "".join(_C[int(d)] for d in digits[4:])
    before, after = _QUIET_EAN_8
    return f"{'0' * before}101{left}01010{right}101{'0' * after}"


def gs1_128(digits: str) -> str:
    """Return an even number of digits (application identifier and value) as GS1-128, in code set C."""
    return _symbol([_START_C, _FNC1, *_pairs(digits)])


def code_128(text: str) -> str:
    """Return printable ASCII as Code 128: a leading even run of at least four digits in set C, the rest in set B."""
    run = len(text) - len(text.lstrip("0123456789"))
    run -= run % 2
    if run < 4:
        return _symbol([_START_B, *_set_b(text)])
    rest = text[run:]
    return _symbol([_START_C, *_pairs(text[:run]), *([_CODE_B, *_set_b(rest)] if rest else [])])


def _pairs(digits: str) -> list[int]:
    return [int(a + b) for index, (a, b) in enumerate(pairwise(digits)) if index % 2 == 0]


def _set_b(text: str) -> list[int]:
    return [ord(char) - 32 for char in text]


def _symbol(values: list[int]) -> str:
    check = (values[0] + sum(place * value for place, value in enumerate(values[1:], start=1))) % 103
    quiet = "0" * _QUIET_128
    return quiet + "".join(_draw(value) for value in [*values, check, _STOP]) + quiet


def _draw(value: int) -> str:
    return "".join(("1", "0")[place % 2] * int(width) for place, width in enumerate(_WIDTHS[value]))
