"""What an expression of PromQL names: enough of its grammar to find selectors and labels, not to judge it (promtool does)."""
import re

FUNCTIONS = {"abs", "absent", "absent_over_time", "avg_over_time", "changes", "clamp_min", "clamp_max", "deriv", "histogram_quantile",
             "increase", "irate", "label_replace", "max_over_time", "min_over_time", "rate", "round", "scalar", "sum_over_time",
             "time", "vector"}
AGGREGATIONS = {"sum", "avg", "min", "max", "count", "topk", "bottomk", "quantile", "stddev"}
CLAUSES = {"by", "without", "on", "ignoring", "group_left", "group_right"}
OPERATORS = {"and", "or", "unless", "bool", "offset"}
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][a-zA-Z0-9_:]*|=~|!~|!=|==|[<>]=?|[{}(),=+*/%^-]|\d+(?:\.\d+)?|\s+')
INFINITE = {"Inf", "NaN"}


class Selector:
    """A metric name with its matchers: (label, operator, value)."""

    def __init__(self, name):
        self.name = name
        self.matchers = []


def tokens(expression):
    """The tokens of an expression without spaces; ValueError where it has something else."""
    found, at = [], 0
    while at < len(expression):
        match = TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"cannot read {expression[at:at + 20]!r} of {expression!r}")
        at = match.end()
        if not match.group().isspace():
            found.append(match.group())
    return found


def is_word(token):
    return re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", token) is not None


def parse(expression):
    """(selectors, labels that it groups or joins by) of an expression; ValueError for a word that is neither."""
    words = tokens(expression)
    selectors, labels, at = [], set(), 0
    while at < len(words):
        word = words[at]
        following = words[at + 1] if at + 1 < len(words) else ""
        if word in CLAUSES:
            if following != "(":
                raise ValueError(f"'{word}' without labels in {expression!r}")
            end = words.index(")", at)
            labels.update(w for w in words[at + 2:end] if w != ",")
            at = end
        elif is_word(word) and word not in OPERATORS | INFINITE:
            if following == "(" or (word in AGGREGATIONS and following in CLAUSES):
                if word not in FUNCTIONS | AGGREGATIONS:
                    raise ValueError(f"no function '{word}' is known here: {expression!r}")
            else:
                selectors.append(Selector(word))
        elif word == "{":
            end = words.index("}", at)
            inside = words[at + 1:end]
            selectors[-1].matchers = [tuple(inside[i:i + 3]) for i in range(0, len(inside), 4)]
            selectors[-1].matchers = [(label, how, value[1:-1]) for label, how, value in selectors[-1].matchers]
            at = end
        at += 1
    return selectors, labels
