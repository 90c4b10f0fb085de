"""What two texts must have in common, however alike they are, to be answered alike. Pure.

Embeddings hardly tell apart what differs in one number, one name or one "not". These features are compared as they are,
so a text that could have shared an answer is now and then answered anew: that costs a call, the other error is a wrong
answer.
"""

import re
import unicodedata

_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_IDENTIFIER_MARK = re.compile(r"[\w][\d_@#/\\]|[\d_@#/\\][\w]|\w\.\w")
_EDGES = ".,;:!?()\"'"
_SENTENCE_END = ".!?:\n"
_OPENERS = " \t\"'([{“„«"
_PRONOUN = frozenset({"I", "I'm", "I've", "I'd", "I'll"})
_NUMBER_WORDS = {
    word: str(value)
    for value, words in enumerate(
        (
            "zero null nul",
            "eins un uno",
            "two zwei deux dos",
            "three drei trois tres",
            "four vier quatre cuatro",
            "five fünf cinq cinco",
            "six sechs seis",
            "seven sieben sept siete",
            "eight acht huit ocho",
            "nine neun neuf nueve",
            "ten zehn dix diez",
            "eleven elf onze once",
            "twelve zwölf douze doce",
        )
    )
    for word in words.split()
} | {
    "twenty": "20",
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
    "half": "1/2",
    "twice": "2x",
    "double": "2x",
    "triple": "3x",
    "first": "1.",
    "second": "2.",
    "third": "3.",
    "last": "-1.",
}
_DATE_TEXT = """
    january february march april june july august september october november december
    monday tuesday wednesday thursday friday saturday sunday weekday weekdays weekend weekends
    today tomorrow yesterday tonight morning afternoon evening night noon midnight
    hour hours day days week weeks month months year years hourly daily weekly monthly quarterly yearly annual annually
    heute morgen gestern
"""
_NEGATION_TEXT = """
    no not never none nobody nothing neither nor nowhere without cannot except unless
    dont doesnt didnt isnt arent wasnt werent wont wouldnt cant couldnt shouldnt hasnt havent hadnt
    nicht kein keine keinen keinem keiner nie niemals ohne ne pas jamais sans sin nunca
"""
# Of two opposites one suffices: texts that differ in them differ in that one.
_OPPOSITE_TEXT = """
    off out down after below under inside left
    disable disabled disabling deactivate stop end ends close closed remove removed delete deleted sell receive
    incoming download export uninstall unlock hide deny block reject decline decrease decreases lower reduce less least
    fewer fewest min minimum smallest lowest shortest worst slowest cheapest oldest earliest max maximum largest biggest
    highest longest best fastest newest latest more most old cold low early downgrade unsubscribe disconnect detach
    decrypt decompress decode pull lose fail fails failure false loss exclude excluding descending private manual
    optional illegal unsafe impossible logout cons disadvantages drawbacks risks depart departure exit female wife
    mother child children employee liabilities expenses outgoing import backward reverse undo cancel revoke
"""
_DATE_WORDS = frozenset(_DATE_TEXT.split())
_NEGATIONS = frozenset(_NEGATION_TEXT.split())
_OPPOSITES = frozenset(_OPPOSITE_TEXT.split())


def guard_signature(text: str) -> tuple[str, ...]:
    """Return what must be equal in two texts that may share an answer.

    Numbers, dates, identifiers, and words written with a capital inside a sentence, in their order; negations and
    opposites, however often each occurs. English, and a few words of German, French and Spanish.
    """
    text = unicodedata.normalize("NFKC", text)
    lowered = text.lower()
    return (
        "numbers", *_numbers(lowered),
        "identifiers", *(word.strip(_EDGES) for word in text.split() if _IDENTIFIER_MARK.search(word)),
        "words", *sorted(word for word in _words(lowered) if word in _NEGATIONS or word in _OPPOSITES),
        "names", *_names(text),
    )  # fmt: skip


def _numbers(lowered: str) -> list[str]:
    found = [(match.start(), match.group()) for match in _NUMBER.finditer(lowered)]
    for match in _WORD.finditer(lowered):
        word = match.group()
        if word in _NUMBER_WORDS:
            found.append((match.start(), _NUMBER_WORDS[word]))
        elif word in _DATE_WORDS:
            found.append((match.start(), word))
    return [value for _, value in sorted(found)]


def _words(lowered: str) -> list[str]:
    """Return the words, ``don't`` as ``not``."""
    words = [match.group().replace("’", "'") for match in _WORD.finditer(lowered)]
    return ["not" if word.endswith("n't") or word in ("cannot", "dont") else word for word in words]


def _names(text: str) -> list[str]:
    """Return the words with a capital that no sentence begins with, in lower case; ``I`` is none."""
    names = []
    for match in _WORD.finditer(text):
        before = text[: match.start()].rstrip(_OPENERS)
        if before and before[-1] not in _SENTENCE_END and match.group()[0].isupper() and match.group() not in _PRONOUN:
            names.append(match.group().lower())
    return names
