"""certificates.py owns throw-away certificates, made by the openssl command."""
import shutil
import subprocess

DAYS = "2"


def run(*arguments):
    assert shutil.which("openssl"), "needs the openssl command: install the package openssl"
    done = subprocess.run(["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def make_authority(folder, name):
    """A self-signed certificate that signs others: <name>.pem beside <name>.key in the folder."""
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", DAYS,
        "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")


def make_certificate(folder, name, authority, host):
    """One for a host, signed by an authority of the same folder."""
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", DAYS,
        "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-addext", "basicConstraints=critical,CA:false",
        "-CA", folder / f"{authority}.pem", "-CAkey", folder / f"{authority}.key",
        "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
