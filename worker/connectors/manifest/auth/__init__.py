"""What does a manifest say of how requests prove who they are? The section `auth`, read and bound to settings."""

from worker.connectors.manifest.auth.reading import AuthManifest as AuthManifest
from worker.connectors.manifest.auth.reading import read_auth as read_auth
