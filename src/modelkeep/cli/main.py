"""The group `modelkeep`: global options and the list of verbs."""

from pathlib import Path

import click

import modelkeep as package
from modelkeep.cli import lazy, settings

_HERE = "modelkeep.cli"
SECTIONS = {
    "Content": {
        "push": lazy.Verb(f"{_HERE}.push:push", "Push a folder, a file or a prompt as a version."),
        "pull": lazy.Verb(f"{_HERE}.pull:pull", "Pull a version into a folder, verified."),
        "cat": lazy.Verb(f"{_HERE}.cat:cat", "Write out one file, or some of its bytes."),
        "verify": lazy.Verb(
            f"{_HERE}.verify:verify", "Have stored bytes re-read, or signatures verified."
        ),
        "export": lazy.Verb(f"{_HERE}.exporting:export", "Write versions into one file."),
        "import": lazy.Verb(f"{_HERE}.importing:import_", "Bring models in from elsewhere."),
    },
    "Look": {
        "show": lazy.Verb(f"{_HERE}.show:show", "Show a namespace, a model or a version."),
        "ls": lazy.Verb(f"{_HERE}.listing:ls", "List namespaces, models or versions."),
        "search": lazy.Verb(f"{_HERE}.search:search", "Find versions by what they are."),
        "resolve": lazy.Verb(f"{_HERE}.resolve:resolve", "Tell which version a reference means."),
        "diff": lazy.Verb(f"{_HERE}.diff:diff", "Tell what lies between two versions."),
        "history": lazy.Verb(f"{_HERE}.history:history", "Tell who did what to a model, and why."),
        "watch": lazy.Verb(f"{_HERE}.watch:watch", "Follow what happens in a namespace."),
    },
    "Measure": {
        "eval": lazy.Verb(
            f"{_HERE}.evaluation:evaluation", "Record what was measured of versions, and show it."
        ),
        "compare": lazy.Verb(
            f"{_HERE}.compare:compare", "Tell whether versions are better or worse."
        ),
        "regress": lazy.Verb(
            f"{_HERE}.regress:regress", "Test whether results are as good as a baseline's."
        ),
        "recommend": lazy.Verb(
            f"{_HERE}.recommend:recommend", "Say which version to promote, and why."
        ),
        "prompt": lazy.Verb(f"{_HERE}.prompt:prompt", "Fill in the variables of prompts."),
    },
    "Promote": {
        "gates": lazy.Verb(f"{_HERE}.gates:gates", "Say what must be so before a move up; try it."),
        "promote": lazy.Verb(
            f"{_HERE}.promote:promote", "Move a version up, as the rules want it."
        ),
        "approve": lazy.Verb(
            f"{_HERE}.transitions:approve", "Approve a move that somebody else asked for."
        ),
        "reject": lazy.Verb(
            f"{_HERE}.transitions:reject", "Reject a move that somebody else asked for."
        ),
        "cancel": lazy.Verb(f"{_HERE}.transitions:cancel", "Give up a move that was asked for."),
        "transitions": lazy.Verb(
            f"{_HERE}.transitions:transitions", "See which moves were asked for, and how far."
        ),
    },
    "Deploy": {
        "env": lazy.Verb(
            f"{_HERE}.environment:environment", "Create, list and change environments."
        ),
        "deploy": lazy.Verb(f"{_HERE}.deploy:deploy", "Record where versions run; what ran when."),
        "rollback": lazy.Verb(
            f"{_HERE}.rollback:rollback", "Go back to the last known good version."
        ),
        "sheet": lazy.Verb(f"{_HERE}.rollback:sheet", "Write the deployment sheet of a version."),
    },
    "Change": {
        "model": lazy.Verb(
            f"{_HERE}.model:model", "Say who answers for a model, and how much harm it can do."
        ),
        "alias": lazy.Verb(f"{_HERE}.alias:alias", "Set, remove, list and protect aliases."),
        "stage": lazy.Verb(f"{_HERE}.stage:stage", "Move a version to another stage."),
        "policy": lazy.Verb(f"{_HERE}.safety:policy", "Show or set what is done about pickles."),
        "release": lazy.Verb(f"{_HERE}.safety:release", "Make a quarantined version ready again."),
        "rm": lazy.Verb(f"{_HERE}.removal:rm", "Delete a version or a model; it can be restored."),
        "restore": lazy.Verb(f"{_HERE}.removal:restore", "Bring back what was deleted."),
        "purge": lazy.Verb(f"{_HERE}.removal:purge", "Drop a deleted version's content for good."),
        "mv": lazy.Verb(
            f"{_HERE}.removal:mv", "Give a model another name, in another namespace too."
        ),
    },
    "Relate": {
        "lineage": lazy.Verb(f"{_HERE}.lineage:lineage", "Tell what was made from what."),
        "impact": lazy.Verb(f"{_HERE}.lineage:impact", "List the versions made from something."),
        "link": lazy.Verb(f"{_HERE}.lineage:link", "Say that one thing was made from another."),
        "unlink": lazy.Verb(f"{_HERE}.lineage:unlink", "Take back what link said."),
    },
    "Vouch": {
        "sign": lazy.Verb(f"{_HERE}.sign:sign", "Sign a version; the key stays here."),
        "trust": lazy.Verb(f"{_HERE}.trust:trust", "Say whose signatures count in a namespace."),
        "provenance": lazy.Verb(
            f"{_HERE}.provenance:provenance", "Write how a version came to be: in-toto, SLSA."
        ),
        "sbom": lazy.Verb(
            f"{_HERE}.provenance:sbom", "Write what is in a version, as a CycloneDX bill."
        ),
    },
    "Access": {
        "login": lazy.Verb(
            f"{_HERE}.login:login", "Keep a token for the server, once the server has taken it."
        ),
        "logout": lazy.Verb(f"{_HERE}.login:logout", "Forget the token for the server."),
        "whoami": lazy.Verb(f"{_HERE}.login:whoami", "Tell who the server takes you for."),
        "can": lazy.Verb(f"{_HERE}.login:can", "Tell whether you may do something."),
        "token": lazy.Verb(f"{_HERE}.token:token", "Make API tokens, list and revoke them."),
        "role": lazy.Verb(f"{_HERE}.role:role", "Say who may do what."),
    },
    "Upkeep": {
        "webhook": lazy.Verb(f"{_HERE}.webhook:webhook", "Have events posted to a URL, signed."),
        "uploads": lazy.Verb(f"{_HERE}.uploads:uploads", "List uploads and give them up."),
        "quota": lazy.Verb(f"{_HERE}.quota:quota", "Show and set how much a namespace may take."),
        "audit": lazy.Verb(f"{_HERE}.audit:audit", "Tell who did what, and prove the record."),
        "gc": lazy.Verb(
            f"{_HERE}.garbage:gc", "Remove blobs that nobody needs, in NAMESPACE or everywhere."
        ),
    },
    "Server": {
        "dev": lazy.Verb(f"{_HERE}.server:dev", "Run a whole registry here: Postgres, S3, server."),
        "serve": lazy.Verb(f"{_HERE}.server:serve", "Run the server on your Postgres and S3."),
        "migrate": lazy.Verb(f"{_HERE}.server:migrate", "Apply database migrations."),
        "admin": lazy.Verb(
            f"{_HERE}.admin:admin", "Make the first administrator; change the key of secrets."
        ),
        "doctor": lazy.Verb(f"{_HERE}.doctor:doctor", "Check the S3 store a server is to use."),
    },
    "About": {
        "version": lazy.Verb(f"{_HERE}.about:version", "Tell the versions of client and server."),
    },
}

_FILE = click.Path(dir_okay=False, path_type=Path)
_EPILOG = """\b
References: NAMESPACE/MODEL@SELECTOR, where the selector is a version (2.1.0), a
range (^2.1), an alias (champion), a stage (production), latest, #17 (ordinal)
or a manifest digest (sha256:...). Without one, the newest release is meant.

\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused by a rule,
5 waits for approvals, 130 interrupted (run the same push or pull again to go on).

\b
Results go to standard output (-o json and -o yaml for programs), progress and
errors to standard error. MODELKEEP_ENDPOINT names the server once for all.
"""


@click.group(
    cls=lazy.LazyGroup,
    sections=SECTIONS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--endpoint",
    envvar="MODELKEEP_ENDPOINT",
    default=settings.DEFAULT_ENDPOINT,
    show_default=True,
    show_envvar=True,
    metavar=settings.ENDPOINT_METAVAR,
    help="The server to speak to.",
)
@click.option(
    "--ca-file",
    envvar="MODELKEEP_TLS_CA_FILE",
    type=_FILE,
    show_envvar=True,
    help="Authorities that may vouch for the server, in PEM; else those of the system.",
)
@click.option(
    "--client-cert",
    envvar="MODELKEEP_TLS_CLIENT_CERT_FILE",
    type=_FILE,
    show_envvar=True,
    help="Certificate to show the server, in PEM.",
)
@click.option(
    "--client-key",
    envvar="MODELKEEP_TLS_CLIENT_KEY_FILE",
    type=_FILE,
    show_envvar=True,
    help="The certificate's private key.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the details of errors.")
@click.version_option(package.__version__, prog_name="modelkeep", message="%(prog)s %(version)s")
@click.pass_context
def modelkeep(  # noqa: PLR0917 - click passes all by name
    context: click.Context,
    endpoint: str,
    ca_file: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    verbose: bool,
) -> None:
    """A model registry you can trust with production."""
    context.obj = settings.Settings(
        endpoint=endpoint,
        verbose=verbose,
        ca_file=ca_file,
        certificate_file=client_cert,
        key_file=client_key,
    )
