# Who looks after it, and what they hear.

variable "deployers" {
  description = "Who may call the migrate function: user:…, group:… or serviceAccount:…"
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.deployers : can(regex("^(user|group|serviceAccount|principal|principalSet):.+", member))])
    error_message = "Members like user:anna@example.com; never allUsers."
  }
}

variable "pipeline" {
  description = "What deploys by itself: the account <name>-deploy, and who may act as it. Null makes none. See docs/deploy.md."
  type = object({
    # The bucket that holds this deployment's state, and under promoted/ the commits that went through.
    state_bucket = string
    # The file of variables that the pipeline applies, from the root of the repository.
    variables = string
    # The state's bucket of the environment that a commit has to come from; empty for the first.
    promoted_from = optional(string, "")
    # Who may read what was promoted here: the next environment's deployer.
    promotes_to = optional(set(string), [])
    # Jobs of one repository (by its number) in one environment, on one branch.
    github = optional(object({
      repository_id = string
      environment   = string
      branch        = optional(string, "main")
    }))
    # A repository that is connected to Cloud Build.
    cloud_build = optional(object({
      repository     = string
      branch         = optional(string, "main")
      needs_approval = optional(bool, true)
    }))
  })
  default = null

  validation {
    condition = var.pipeline == null ? true : alltrue([
      for bucket in [var.pipeline.state_bucket, coalesce(var.pipeline.promoted_from, var.pipeline.state_bucket)] :
      can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", bucket))
    ])
    error_message = "A bucket's name, without gs://."
  }
  validation {
    condition     = try(var.pipeline.github, null) == null ? true : can(regex("^[0-9]+$", var.pipeline.github.repository_id))
    error_message = "A repository of GitHub's is told by its number: gh api repos/OWNER/NAME --jq .id"
  }
  validation {
    condition = alltrue([
      for text in [try(var.pipeline.github.environment, null), try(var.pipeline.github.branch, null), try(var.pipeline.cloud_build.branch, null)] :
      text == null ? true : can(regex("^[A-Za-z0-9][A-Za-z0-9._/-]*$", text))
    ])
    error_message = "Environments and branches have letters, digits and ._/- only."
  }
  validation {
    condition     = try(var.pipeline.cloud_build, null) == null ? true : can(regex("^projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+$", var.pipeline.cloud_build.repository))
    error_message = "projects/…/locations/…/connections/…/repositories/…"
  }
  validation {
    condition     = var.pipeline == null ? true : alltrue([for member in var.pipeline.promotes_to : startswith(member, "serviceAccount:")])
    error_message = "promotes_to has members like serviceAccount:slipway-deploy@PROJECT.iam.gserviceaccount.com."
  }
}

variable "alert_emails" {
  description = "Where alerts go."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "Mail addresses."
  }
}

variable "platform_request_log" {
  description = "Whether the platform's own log of requests that went well is kept, beside the registry's."
  type        = bool
  default     = false
  nullable    = false
}

variable "budget" {
  description = "A monthly budget, in whole units of the billing account's currency; mails are sent at half, nine tenths and all of it."
  type = object({
    billing_account = string
    amount          = number
  })
  default = null

  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account)) && var.budget.amount >= 1
    error_message = "A billing account like 012345-6789AB-CDEF01, and an amount of at least 1."
  }
}

variable "gc_schedule" {
  description = "When garbage collection is woken besides trigger messages, as a cron line in UTC."
  type        = string
  default     = "*/5 * * * *"
  nullable    = false

  validation {
    condition     = length(split(" ", var.gc_schedule)) == 5
    error_message = "Five fields."
  }
}
