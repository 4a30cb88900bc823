"""Which imports of a pickle are known to be dangerous.

The list is short on purpose: what is on it needs no second look, what is not on it may still do
harm. A pickle is never called clean.
"""

_MODULES_TEXT = """
_aix_support _io _osx_support _pickle _posixsubprocess _pyrepl _thread aiohttp asyncio bdb
cPickle cProfile cloudpickle code codeop commands ctypes dill distutils doctest ensurepip ftplib
gc http httplib httpx idlelib imaplib imp importlib inspect io lib2to3 linecache logging marshal
mmap multiprocessing nt nturl2path ntpath os paramiko pathlib pdb pickle pip pkgutil platform
poplib posix posixpath profile pty pydoc requests requests_toolbelt runpy shelve shutil signal
site smtplib socket socketserver ssl subprocess sys sysconfig tempfile test threading timeit
trace types unittest urllib urllib2 urllib3 uuid venv webbrowser winreg xmlrpc zipimport
"""
_MODULES = frozenset(_MODULES_TEXT.split())
"""Top-level modules of which anything is dangerous."""

_BUILTINS = frozenset({"builtins", "__builtin__", "__builtins__"})
_BUILTIN_NAMES_TEXT = """
__build_class__ __import__ breakpoint compile delattr dir eval exec execfile exit file getattr
globals help input locals memoryview open quit reload setattr type vars
"""
_BUILTIN_NAMES = frozenset(_BUILTIN_NAMES_TEXT.split())
_NAMES_TEXT = """
functools.partial functools.reduce joblib.load numpy.load numpy.memmap
numpy.testing._private.utils.runstring operator.attrgetter operator.itemgetter
operator.methodcaller pandas.eval pandas.read_pickle sympy.sympify
torch._inductor.codecache.compile_file torch.jit.unsupported_tensor_ops.execWithScope torch.load
torch.serialization.load torch.storage._load_from_bytes
"""
_NAMES = frozenset(_NAMES_TEXT.split())
_PREFIXES = ("torch.hub.", "torch.utils.cpp_extension.", "numpy.f2py.", "torch._dynamo.")


def is_dangerous(module: str, name: str) -> bool:
    """Whether loading this import gives a pickle more than values.

    A dotted name walks through attributes, so a harmless module may lead to a dangerous one.
    """
    whole = f"{module}.{name}"
    if whole in _NAMES or whole.startswith(_PREFIXES):
        return True
    if module in _BUILTINS:
        return not _BUILTIN_NAMES.isdisjoint(name.split("."))
    if module.partition(".")[0] in _MODULES:
        return True
    steps = name.split(".")[:-1]
    return not (_MODULES | _BUILTINS).isdisjoint(steps)
