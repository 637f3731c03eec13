# Who gets in, and what the programs are told.

variable "access" {
  description = "Who gets in: token (the registry's own principals), external (another issuer's tokens), open (everybody, with every right)."
  type        = string
  default     = "token"
  nullable    = false

  validation {
    condition     = contains(["token", "external", "open"], var.access)
    error_message = "One of token, external, open."
  }
}

variable "accept_open" {
  description = "Must be true for access = open: anybody on the internet may then push and delete."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = var.access == "open" == var.accept_open
    error_message = "access = open needs accept_open = true, and nothing else may have it."
  }
}

variable "external" {
  description = "The issuer that access = external trusts: its `iss`, its token endpoint, and its keys (PEM) or where they are published."
  type = object({
    issuer   = string
    realm    = string
    keys     = optional(string, "")
    jwks_url = optional(string, "")
  })
  default = null

  validation {
    condition     = (var.access == "external") == (var.external != null)
    error_message = "access = external needs the issuer, and nothing else may name one."
  }
  validation {
    condition     = var.external == null ? true : startswith(var.external.realm, "https://")
    error_message = "The realm is an absolute https address."
  }
  validation {
    condition     = var.external == null ? true : (var.external.keys == "") != (var.external.jwks_url == "")
    error_message = "Give either keys or jwks_url."
  }
}

variable "console_issuer" {
  description = "The OpenID Connect issuer by which people sign in to the console: its address as its tokens name it, the client's id there, and, for a client with a secret, the name and the version of the secret in Secret Manager that holds it."
  type = object({
    issuer         = string
    client_id      = string
    secret         = optional(string)
    secret_version = optional(number, 1)
  })
  default = null

  validation {
    condition     = var.console_issuer == null || var.access == "token"
    error_message = "console_issuer is for access = token: nobody else signs people in."
  }
  validation {
    condition     = var.console_issuer == null ? true : startswith(var.console_issuer.issuer, "https://") && var.console_issuer.client_id != ""
    error_message = "The issuer is an https address, as its tokens name it, and the client has an id there."
  }
  validation {
    condition     = try(var.console_issuer.secret, null) == null ? true : can(regex("^[A-Za-z0-9_-]{1,255}$", var.console_issuer.secret))
    error_message = "The secret is named by its id in Secret Manager, in this project."
  }
}

variable "token_service" {
  description = "The registry's name in tokens: their audience, and what a CI job's identity must be made for; null for its host, which no other registry has."
  type        = string
  default     = null

  validation {
    condition     = var.token_service == null ? true : can(regex("^[A-Za-z0-9._:/-]{1,200}$", var.token_service))
    error_message = "Letters, digits and ._:/- only."
  }
}

variable "token_keys_version" {
  description = "Which version of the signing keys the registry reads. `slipway operator rotate` adds versions, and says what to write here."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.token_keys_version >= 1 && floor(var.token_keys_version) == var.token_keys_version
    error_message = "A whole number from 1."
  }
}

variable "pepper_version" {
  description = "Which version of the pepper the programs read. `slipway operator rotate` adds versions, and says what to write here; any other change makes every stored secret useless."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.pepper_version >= 1 && floor(var.pepper_version) == var.pepper_version
    error_message = "A whole number from 1."
  }
}

variable "settings" {
  description = "Settings of docs/configuration.md that are a matter of taste, by their SLIPWAY_ names."
  type        = map(string)
  default     = {}
  nullable    = false

  # What isn't listed here is derived from the other variables.
  validation {
    condition = alltrue([for name in keys(var.settings) : contains([
      "SLIPWAY_PULLS_AND_PUSHES_INTERVAL_SECONDS",
      "SLIPWAY_AUDIT_REFUSALS",
      "SLIPWAY_AUDIT_ROWS",
      "SLIPWAY_BLOB_DELIVERY",
      "SLIPWAY_BODY_DRAIN_SECONDS",
      "SLIPWAY_BODY_IDLE_SECONDS",
      "SLIPWAY_BODY_LEAST_BYTES",
      "SLIPWAY_CHECK_BYTES",
      "SLIPWAY_CHECK_DAYS",
      "SLIPWAY_CONSOLE",
      "SLIPWAY_DATABASE_WAIT_SECONDS",
      "SLIPWAY_GITLAB_VERSION",
      "SLIPWAY_GOOGLE_AUDIENCES",
      "SLIPWAY_GRANTS_PER_GRANTEE",
      "SLIPWAY_GRANTS_PER_NAMESPACE",
      "SLIPWAY_GC_TRIGGER_INTERVAL_SECONDS",
      "SLIPWAY_LARGEST_ANNOTATIONS_BYTES",
      "SLIPWAY_LARGEST_MANIFEST_BYTES",
      "SLIPWAY_MANIFEST_ROOM_BYTES",
      "SLIPWAY_MANIFEST_ROOM_SECONDS",
      "SLIPWAY_OIDC_ISSUERS",
      "SLIPWAY_PRIVATE_ISSUERS",
      "SLIPWAY_PRIVATE_RECEIVERS",
      "SLIPWAY_PRIVATE_SOURCES",
      "SLIPWAY_REFUSALS_PER_MINUTE",
      "SLIPWAY_REQUESTS_PER_MINUTE",
      "SLIPWAY_RULES_PER_NAMESPACE",
      "SLIPWAY_SIGNED_URL_BASE",
      "SLIPWAY_SIGNED_URL_SECONDS",
      "SLIPWAY_SLOW_BODIES_PER_ADDRESS",
      "SLIPWAY_SPARSE_MANIFESTS",
      "SLIPWAY_STARRED_CHARACTERS_PER_GRANTEE",
      "SLIPWAY_STARS_PER_PATTERN",
      "SLIPWAY_SUBSCRIPTIONS_PER_NAMESPACE",
      "SLIPWAY_STORAGE_TIMEOUT_SECONDS",
      "SLIPWAY_TENANT_CLAIMS",
      "SLIPWAY_TOKEN_SECONDS",
      "SLIPWAY_TRUSTED_PUBLISHERS_PER_NAMESPACE",
      "SLIPWAY_UPLOADS_PER_PRINCIPAL",
      "SLIPWAY_UPLOAD_EXPIRY_SECONDS",
    ], name)])
    error_message = "A setting that isn't known, or that is derived from another variable: see terraform/variables_access.tf."
  }
}

variable "cors_origins" {
  description = "Origins whose pages may read the registry in a browser, and the blobs from the bucket, like https://console.example.com."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for origin in var.cors_origins : can(regex("^https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?$", origin))])
    error_message = "Origins as browsers send them, like https://console.example.com: no path, no slash at the end."
  }
}
