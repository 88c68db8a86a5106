"""Finds the places of a Swift file at which a small fault can be put in.

No parser: the text without comments and strings is enough to find operators, conditions, numbers, results and
calls. What doesn't compile with its change is dropped by the build.
"""

import hashlib
import re

KINDS = ("comparison", "condition", "bound", "logic", "result", "statement")
# How many of each kind are taken in turn.
SHARES = {"comparison": 5, "condition": 5, "bound": 4, "logic": 2, "result": 2, "statement": 2}

# The changes of each comparison, the likelier one first.
FLIPS = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"),
    "==": ("!=",), "!=": ("==",),
}
LEFT_OUT = re.compile(
    r"\b(precondition|preconditionFailure|fatalError|assert|assertionFailure|reserveCapacity|logger|log)\b"
    r"|^\s*(import|package import|public import|internal import|case|@|#|\.)|static func|\binit\?*\(.*:.*\{$"
    r"|\bfunc\b|\btypealias\b|\bextension\b|\bstruct\b|\bclass\b|\bprotocol\b|\boperator\b")


class Site:
    """One place: file, offsets of the text to replace, and the change."""

    def __init__(self, file, line, start, end, kind, before, after, make, shown):
        self.file, self.line, self.start, self.end = file, line, start, end
        self.kind, self.before, self.after = kind, before, after
        self.make = make  # of the number: the new text
        self.shown = shown  # the line
        self.key = ""
        self.number = 0

    def rank(self, seed):
        return hashlib.sha256(f"{seed} {self.key}".encode()).hexdigest()


def blanked(text):
    """The text with comments, strings and what is for other systems as blanks, of the same length."""
    out = list(text)

    def blank(start, end):
        for index in range(start, min(end, len(out))):
            if out[index] != "\n":
                out[index] = " "

    index = 0
    while index < len(text):
        if text.startswith("//", index):
            end = text.find("\n", index)
            end = len(text) if end < 0 else end
            blank(index, end)
        elif text.startswith("/*", index):
            end = text.find("*/", index)
            end = len(text) if end < 0 else end + 2
            blank(index, end)
        elif text.startswith('"""', index):
            end = text.find('"""', index + 3) + 3
            blank(index + 1, end - 1)
        elif text[index] == '"':
            end = end_of_string(text, index)
            blank(index + 1, end - 1)
        else:
            end = index + 1
        index = end
    return without_other_systems("".join(out))


def end_of_string(text, start):
    """The offset after the closing quote, past what is interpolated."""
    index, depth = start + 1, 0
    while index < len(text):
        if text.startswith("\\(", index):
            depth += 1
            index += 2
            continue
        if depth:
            if text[index] == '"':
                index = end_of_string(text, index)
                continue
            depth += (text[index] == "(") - (text[index] == ")")
        elif text[index] == "\\":
            index += 1
        elif text[index] == '"' or text[index] == "\n":
            return index + 1
        index += 1
    return index


def without_other_systems(text):
    lines, skips = text.split("\n"), []
    for number, line in enumerate(lines):
        word = line.strip()
        if word.startswith("#if"):
            skips.append(bool(re.search(r"Darwin|macOS|Android|Musl|Windows", word)))
        elif word.startswith(("#elseif", "#else")) and skips:
            elsewhere = bool(re.search(r"Darwin|macOS|Android|Musl|Windows", word))
            skips[-1] = elsewhere
        elif word.startswith("#endif") and skips:
            skips.pop()
        if any(skips) or word.startswith("#"):
            lines[number] = " " * len(line)
    return "\n".join(lines)


def find(file, text):
    """All places of a file."""
    code = blanked(text)
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    sites = []

    def add(kind, start, end, after, make):
        number = text.count("\n", 0, start)
        sites.append(
            Site(file, number + 1, start, end, kind, text[start:end], after, make,
                 lines[number].strip()))

    for number, line in enumerate(code.split("\n")):
        if not line.strip() or LEFT_OUT.search(line):
            continue
        base = starts[number]
        operators(line, base, add)
        numbers(line, base, add)
        results(line, base, text, add)
        statements(code, number, line, base, text, add)
    conditions(code, text, add)

    # A name that stays when lines elsewhere change: the line's text and which of its like it is.
    seen = {}
    for site in sites:
        name = (site.kind, site.shown, site.before, site.after)
        seen[name] = seen.get(name, 0) + 1
        site.key = "|".join((file, *name, str(seen[name])))
    return sites


def operators(line, base, add):
    for match in re.finditer(r"(?<= )(<=|>=|<|>|==|!=|&&|\|\||\+|-)(?= )", line):
        sign = match.group(1)
        start, end = base + match.start(1), base + match.end(1)
        if sign in FLIPS:
            for after in FLIPS[sign]:
                add("comparison", start, end, after, lambda number: name_of(number))
        elif sign in ("&&", "||"):
            add("logic", start, end, "||" if sign == "&&" else "&&", lambda number: name_of(number))
        else:
            add("bound", start, end, "-" if sign == "+" else "+", lambda number: name_of(number))


def numbers(line, base, add):
    for match in re.finditer(r"(?<![\w.$\]])(\d[\d_]*)(?![\w.]|\.\d)|\bm(?:in|ax)(?=\()", line):
        if match.group(0) in ("min", "max"):
            if match.start() and line[match.start() - 1] in "._":
                continue
            other = "max" if match.group(0) == "min" else "min"
            add("bound", base + match.start(), base + match.end(), other,
                lambda number, name=match.group(0): f"mutant_{name}_{number}")
            continue
        value = match.group(1)
        add("bound", base + match.start(1), base + match.end(1), f"{value} + 1",
            lambda number, value=value: f"mutantNumber({number}, {value})")


def results(line, base, text, add):
    match = re.match(r"^(.*?\breturn (?:try |await )*)([^{}]+?)\s*(\}?)\s*$", line)
    if not match or line.count("(") != line.count(")") or line.count("[") != line.count("]"):
        return
    value = match.group(2)
    if value.strip() in ("nil", "[]") or value.startswith((".", "(")) or value.endswith((",", "?", ":", "=", "&&", "||", "+", "-")):
        return
    rest = text[base + len(line):].lstrip()
    if rest.startswith((".", "?", ":", "&&", "||", "+", "-", "*", "/", "==", "<", ">")):
        return
    start, end = base + match.start(2), base + match.end(2)
    whole = text[start:end]
    after = {"true": "false", "false": "true"}.get(whole, "another result")
    add("result", start, end, after, lambda number: f"mutantResult({number}, {whole})")


def statements(code, number, line, base, text, add):
    word = line.strip()
    call = re.match(r"^(?:try |await )*[a-zA-Z_][\w.?!]*(?:\[[^\]]*\])?(?:\.[\w.?!]+)*\(.*\)$", word)
    change = re.match(r"^[a-zA-Z_][\w.?!]*(?:\[[^\]]*\])?(?:\.[\w.?!]+)* (?:[-+&|^]|<<|>>|&\+|&-)?= .+$", word)
    if not (call or change) or word.startswith(("return", "let ", "var ", "throw", "super.init", "self.init", "if ", "guard ", "while ", "for ", "switch ", "defer")):
        return
    if word.count("(") != word.count(")") or word.count("[") != word.count("]") or "{" in word:
        return
    lines = code.split("\n") if isinstance(code, str) else code
    previous = next((l.strip() for l in reversed(lines[:number]) if l.strip()), "{")
    following = next((l.strip() for l in lines[number + 1:] if l.strip()), "}")
    if not previous.endswith(("{", "}", ")", ":")) and not re.search(r"[\w\])!?]$", previous):
        return
    if previous.endswith((",", "(", "[", "=", "->", "&&", "||", "?")) or previous in ("else", "return"):
        return
    if following.startswith((".", "?", ":", "&&", "||", "+ ", "- ", "{", "else", "??")):
        return
    start = base + len(line) - len(line.lstrip())
    end = base + len(line.rstrip())
    whole = text[start:end]
    add("statement", start, end, "left out",
        lambda n: f"if !isMutant({n}) {{ {whole} }}")


def conditions(code, text, add):
    """The clauses of each `if`, `guard` and `while` that are plain conditions, negated."""
    for match in re.finditer(r"\b(if|guard|while)\s", code):
        before = code[max(0, match.start() - 1):match.start()]
        if before in ("#", ".", "`"):
            continue
        index, depth, clause, clauses = match.end(), 0, match.end(), []
        while index < len(code):
            sign = code[index]
            if sign in "([":
                depth += 1
            elif sign in ")]":
                depth -= 1
                if depth < 0:
                    break
            elif depth == 0 and sign == ",":
                clauses.append((clause, index))
                clause = index + 1
            elif depth == 0 and sign == "{":
                clauses.append((clause, index))
                break
            elif depth == 0 and sign == "}":
                break
            index += 1
        for start, end in clauses:
            while start < end and code[start] in " \n":
                start += 1
            while end > start and code[end - 1] in " \n":
                end -= 1
            if match.group(1) == "guard" and code[start:end].endswith("else"):
                end -= 4
                while end > start and code[end - 1] in " \n":
                    end -= 1
            whole = text[start:end]
            if not whole or re.match(r"(let|var|case|#|await let)\b|#", whole) or "{" in whole:
                continue
            # A whole comparison is turned around by its operator already.
            if re.fullmatch(r"[\w.]+ (<|>|<=|>=|==|!=) [\w.]+", whole):
                continue
            wait = " ".join(re.match(r"((?:try |await )*)", whole).group(1).split())
            rest = whole[len(wait):].lstrip() if wait else whole
            prefix = wait + " " if wait else ""
            add("condition", start, end, f"!({' '.join(whole.split())})",
                lambda number, prefix=prefix, rest=rest:
                f"{prefix}mutantCondition({number}, {rest})")


def name_of(number):
    """An operator of its own for each number: the changes of the others are not in its way."""
    name = ""
    while number:
        name = "~^%|"[number % 4] + name
        number //= 4
    return "~~" + name + "~"
