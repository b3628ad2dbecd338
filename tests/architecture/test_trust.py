"""What is read is data: nothing that comes from a file or a server is run as code."""

import ast

from architecture.source_tree import MODULES, find_tools, read_imports, read_tree

# What turns bytes into objects by running them, or has no use but that.
RUNNING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "torch"}
# Jobs travel as pickles between the command and its own workers, whoever can reach whose scheduler.
BETWEEN_OWN_PROCESSES = {"expressionist.files.sharding": {"pickle"}}
# Ends of calls: what runs text, unpacks archives to where these say, or reads what can hold code.
FORBIDDEN = {
    "eval": "runs text",
    "exec": "runs text",
    "os.system": "runs text",
    "os.popen": "runs text",
    "yaml.unsafe_load": "makes any object",
    "yaml.full_load": "makes many objects",
    "read_pickle": "runs what it reads",
    "extractall": "writes where an archive says",
    "extract": "writes where an archive says",
    "unpack_archive": "writes where an archive says",
    "enable_unsafe_deserialization": "lets Keras run what it reads",
}
# Answers that let code through, by argument, and who may give one: what a person wrote into params.yaml.
UNSAFE = {"allow_pickle": True, "safe_mode": False, "shell": True}
OWN_COMMAND = ("expressionist.commands.models", "params.after_promotion")


def list_calls():
    for module in MODULES:
        for node in ast.walk(read_tree(module)):
            if isinstance(node, ast.Call):
                yield module, ast.unparse(node.func), node


def test_nothing_but_a_cluster_reads_pickles():
    found = {module: find_tools(module) & RUNNING for module in MODULES}
    assert {module: tools for module, tools in found.items() if tools} == BETWEEN_OWN_PROCESSES


def test_no_call_runs_what_it_is_given():
    for module, name, call in list_calls():
        # `str.extract` of pandas takes text out of text.
        found = [
            end for end in FORBIDDEN if (name == end or name.endswith(f".{end}")) and ".str." not in name
        ]
        assert not found, f"{module} calls {name}, which {FORBIDDEN[found[0]]}"
        for given in call.keywords:
            unsafe = given.arg in UNSAFE and ast.unparse(given.value) == str(UNSAFE[given.arg])
            own = call.args and (module, ast.unparse(call.args[0])) == OWN_COMMAND
            assert own or not unsafe, f"{module} calls {ast.unparse(call)}"


def test_yaml_is_read_by_safe_loaders():
    loaders = [call.args[1].id for _, name, call in list_calls() if name == "yaml.load"]
    assert loaders == ["_Loader"]
    (loader,) = [
        node
        for node in ast.walk(read_tree("expressionist.commands.params_file"))
        if isinstance(node, ast.ClassDef) and node.name == "_Loader"
    ]
    assert ast.unparse(loader.bases[0]) == "yaml.SafeLoader"


def test_xml_is_read_by_no_parser_of_ours():
    """One error of openpyxl's is caught; its parser takes no entities from outside."""
    read = {
        name for module in MODULES for name in read_imports(module) if name.split(".")[0] in ("xml", "lxml")
    }
    assert read <= {"xml.etree.ElementTree", "xml.etree.ElementTree.ParseError"}
    assert not any(name.endswith((".fromstring", ".XMLParser")) for _, name, _ in list_calls())
