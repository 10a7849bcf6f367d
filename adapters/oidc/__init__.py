"""Any OpenID provider: Google, Microsoft Entra, Okta, Keycloak."""
