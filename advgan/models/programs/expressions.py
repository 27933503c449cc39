"""The sizes and guards of an exported program, which torch evaluates as Python: arithmetic over symbols and no more."""

import ast
import re

_SHAPE_OF_INPUT = re.compile(r"L(\['\w{1,60}'\]|\[\d{1,4}\])+\.(size|stride)\(\)\[\d{1,4}\]")
_ARITHMETIC = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Tuple, ast.keyword)
_SIGNS = (
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Load),
)
_FUNCTIONS = {
    *("Symbol", "Integer", "Float", "Rational", "Max", "Min", "Abs", "Add", "Mul", "Pow", "PowByNatural", "Mod"),
    *("PythonMod", "FloorDiv", "CleanDiv", "CeilDiv", "CeilToInt", "FloorToInt", "IntTrueDiv", "FloatTrueDiv"),
    *("RoundToInt", "TruncToInt", "ToFloat", "Piecewise", "ExprCondPair", "Eq", "Ne", "Lt", "Le", "Gt", "Ge"),
    *("And", "Or", "Not"),
}
_SYMBOL = re.compile(r"[a-z]{1,8}_?\d{1,6}|s|oo|int_oo")
_TEXT = re.compile(r"[a-z]{1,8}_?\d{1,6}|[+-]?\d{0,20}\.?\d{0,40}(e[+-]?\d{1,3})?")
_LONGEST = 4000
_LARGEST = 2**63
_HIGHEST_POWER = 4
_MOST_POWERS = 6
"""One of another, they make a number of some kilobytes at most."""


def is_arithmetic(text: str) -> bool:
    """Whether a text is arithmetic over symbols: no attributes, no subscripts, calls of known functions only.

    Strings inside must be symbols or numbers too, since sympy evaluates the strings that its functions are given.
    Powers are small, so that no number outgrows the memory.
    """
    if len(text) > _LONGEST:
        return False
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_part(node) for node in nodes) and sum(_is_power(node) for node in nodes) <= _MOST_POWERS


def is_guard(text: str) -> bool:
    """Whether a text is arithmetic over symbols and the sizes of inputs."""
    return len(text) <= _LONGEST and is_arithmetic(_SHAPE_OF_INPUT.sub("s", text))


def _is_part(node: ast.AST) -> bool:
    match node:
        case ast.Name():
            return node.id in _FUNCTIONS or _SYMBOL.fullmatch(node.id) is not None
        case ast.Constant(value=str() as value):
            return _TEXT.fullmatch(value) is not None
        case ast.Constant(value=value):
            return isinstance(value, bool | int | float) and abs(value) <= _LARGEST
        case ast.BinOp(op=ast.Pow()):
            return _is_small(node.right)
        case ast.Call(func=ast.Name(id="Pow" | "PowByNatural")):
            return len(node.args) == 2 and _is_small(node.args[1])
        case ast.Call():
            return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
    return isinstance(node, (*_ARITHMETIC, *_SIGNS, ast.Pow))


def _is_power(node: ast.AST) -> bool:
    return isinstance(node, ast.Pow) or (isinstance(node, ast.Name) and node.id.startswith("Pow"))


def _is_small(node: ast.AST) -> bool:
    """Whether an exponent is a small whole number."""
    match node:
        case ast.Constant(value=int() as value):
            return abs(value) <= _HIGHEST_POWER
        case ast.UnaryOp(op=ast.USub()):
            return _is_small(node.operand)
        case ast.Call(func=ast.Name(id="Integer"), args=[only]):
            return _is_small(only)
    return False
