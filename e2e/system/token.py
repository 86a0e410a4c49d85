#!/usr/bin/env python3
"""A security key made of software: OpenSSL signs, this writes what OpenSSH would (PROTOCOL.u2f, PROTOCOL.sshsig).
   token make ed25519|ecdsa NAME        makes NAME.pem and NAME.pub
   token sign NAME NAMESPACE FILE       writes FILE.sig; FLAGS=0 in the environment: as if nobody touched it"""
import base64, hashlib, os, struct, subprocess, sys

KINDS = {"ed25519": b"sk-ssh-ed25519@openssh.com", "ecdsa": b"sk-ecdsa-sha2-nistp256@openssh.com"}
APPLICATION = b"ssh:"


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, stdout=subprocess.PIPE, check=True).stdout


def string(data):
    return struct.pack(">I", len(data)) + data


def mpint(number):
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def body(kind, name):
    der = openssl("pkey", "-in", name + ".pem", "-pubout", "-outform", "DER")
    if kind == "ed25519":
        point = string(der[-32:])
    else:
        point = string(b"nistp256") + string(der[-65:])
    return string(KINDS[kind]) + point + string(APPLICATION)


def make(kind, name):
    ways = {"ed25519": ["-algorithm", "ED25519"], "ecdsa": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]}
    openssl("genpkey", *ways[kind], "-out", name + ".pem")
    with open(name + ".pub", "w") as out:
        out.write(f"{KINDS[kind].decode()} {base64.b64encode(body(kind, name)).decode()}\n")


def r_and_s(der):
    numbers, at = [], 2
    for _ in range(2):
        length = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2 : at + 2 + length], "big"))
        at += 2 + length
    return numbers


def sign(name, namespace, path):
    with open(name + ".pub") as public:
        called = public.read().split()[0].encode()
    kind = next(k for k, v in KINDS.items() if v == called)
    with open(path, "rb") as text:
        digest = hashlib.sha512(text.read()).digest()
    purpose = string(namespace.encode()) + string(b"") + string(b"sha512")
    tail = bytes([int(os.environ.get("FLAGS", "1"))]) + struct.pack(">I", 7)
    signed = hashlib.sha256(b"SSHSIG" + purpose + string(digest)).digest()
    data = hashlib.sha256(APPLICATION).digest() + tail + signed
    with open(path + ".tbs", "wb") as out:
        out.write(data)
    if kind == "ed25519":
        raw = openssl("pkeyutl", "-sign", "-rawin", "-inkey", name + ".pem", "-in", path + ".tbs")
    else:
        raw = b"".join(map(mpint, r_and_s(openssl("dgst", "-sha256", "-sign", name + ".pem", path + ".tbs"))))
    os.unlink(path + ".tbs")
    signature = string(KINDS[kind]) + string(raw) + tail
    whole = b"SSHSIG" + struct.pack(">I", 1) + string(body(kind, name)) + purpose + string(signature)
    lines = base64.b64encode(whole).decode()
    with open(path + ".sig", "w") as out:
        out.write("-----BEGIN SSH SIGNATURE-----\n")
        out.writelines(lines[i : i + 70] + "\n" for i in range(0, len(lines), 70))
        out.write("-----END SSH SIGNATURE-----\n")


if sys.argv[1] == "make":
    make(*sys.argv[2:])
else:
    sign(*sys.argv[2:])
