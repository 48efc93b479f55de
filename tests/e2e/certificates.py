# SPDX-License-Identifier: Apache-2.0
"""The cluster's keys: one CA, certificates of every part, the key that signs service account tokens, kubeconfigs."""
import json
import os

from lab.commands import run


class Authority:
    """A CA of this run; everything it issues lies in one folder."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        os.chmod(folder, 0o700)
        self.ca = self.path("ca.pem")
        self._openssl("ca", "/CN=Postern e2e CA", "-addext", "keyUsage=critical,keyCertSign,digitalSignature")
        # PKCS #8 and public: what the API server signs tokens with and checks them by.
        self.token_key, self.token_public = self.path("tokens.key"), self.path("tokens.pub")
        run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", self.token_key])
        run(["openssl", "pkey", "-in", self.token_key, "-pubout", "-out", self.token_public])

    def path(self, name):
        return os.path.join(self.folder, name)

    def _openssl(self, name, subject, *more):
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", subject, "-keyout", self.path(name + ".key"), "-out", self.path(name + ".pem"), *more])

    def issue(self, name, user, group=None, hosts=()):
        """A certificate for a user of the API and, with hosts, for a server. Returns paths: (certificate, key)."""
        subject = (f"/O={group}" if group else "") + f"/CN={user}"
        more = ["-CA", self.ca, "-CAkey", self.path("ca.key"), "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", "extendedKeyUsage=clientAuth,serverAuth"]
        if hosts:
            kinds = ",".join(("IP:" if host[0].isdigit() else "DNS:") + host for host in hosts)
            more += ["-addext", "subjectAltName=" + kinds]
        self._openssl(name, subject, *more)
        return self.path(name + ".pem"), self.path(name + ".key")

    def kubeconfig(self, name, server, user, group=None, hosts=()):
        """Issues a certificate and writes a kubeconfig with it; returns its path."""
        certificate, key = self.issue(name, user, group, hosts)
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "e2e",
                  "clusters": [{"name": "e2e", "cluster": {"server": server, "certificate-authority": self.ca}}],
                  "users": [{"name": "e2e", "user": {"client-certificate": certificate, "client-key": key}}],
                  "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}]}
        path = self.path(name + ".kubeconfig")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        return path
