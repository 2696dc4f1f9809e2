# Variables for the functions' zips.

variable "architecture" {
  type        = string
  description = "Instruction set of the functions: `arm64` or `x86_64`. The zips are pure Python and run on both, but for the one that checks tokens, of which there is one for each."
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be one of Lambda's instruction sets: \"arm64\" or \"x86_64\"."
  }
}

variable "code_revision" {
  type        = string
  description = "Any text; another one uploads the code of every function again. Needed where a warning says that a function runs other code than its zip's, as after an upload that AWS refused."
  default     = null

  validation {
    condition     = var.code_revision == null || can(regex("^[A-Za-z0-9._-]{1,64}$", var.code_revision))
    error_message = "code_revision must be null or 1 to 64 letters, digits, dots, underscores or hyphens."
  }
}

variable "handler_sources_directory" {
  type        = string
  description = "Folder of the sources from which the zips must have been built, if they are no release's. Null means `handlers` of the repository that holds this module."
  default     = null

  validation {
    condition     = var.handler_sources_directory == null || try(length(var.handler_sources_directory) >= 1, false)
    error_message = "handler_sources_directory must be null or the path of a folder."
  }
}

variable "handlers_bucket" {
  type        = string
  description = "Existing S3 bucket for the zips, in the Region of the functions, from which Lambda deploys them. Null uploads each zip to Lambda directly. The name must be known at plan."
  default     = null

  validation {
    condition     = var.handlers_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.handlers_bucket))
    error_message = "handlers_bucket must be null or the name of an S3 bucket: 3 to 63 lower-case letters, digits, dots or hyphens."
  }
}

variable "handlers_directory" {
  type        = string
  description = "Folder of the zips and their manifest. Null means those of the release, or, in a working tree, `build/handlers`, where `make build` writes them. Give a path relative to the root module, like `\"$${path.root}/handlers\"`: Lambda's `filename` is part of the state, so the absolute path of another machine changes every function."
  default     = null

  validation {
    condition     = var.handlers_directory == null || try(length(var.handlers_directory) >= 1, false)
    error_message = "handlers_directory must be null or the path of a folder."
  }
}

variable "published_handlers" {
  type = object({
    bucket = string
    prefix = optional(string, "roomcast")
    region = string
  })
  description = "Bucket that holds the zips already, as `make publish` prints it: its name, the prefix of the keys, and the Region, which must be that of the functions. The keys follow from the manifest, so that another release needs no other value. Excludes `handlers_bucket`. Must be known at plan."
  default     = null

  validation {
    condition     = var.published_handlers == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.published_handlers.bucket))
    error_message = "published_handlers.bucket must be the name of an S3 bucket: 3 to 63 lower-case letters, digits, dots or hyphens."
  }

  validation {
    condition     = var.published_handlers == null ? true : can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", var.published_handlers.prefix)) && try(length(var.published_handlers.prefix) <= 128, false)
    error_message = "published_handlers.prefix must be at most 128 letters, digits, underscores, dots, hyphens or slashes between them."
  }

  validation {
    condition     = var.published_handlers == null ? true : can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.published_handlers.region))
    error_message = "published_handlers.region must be a Region, like \"eu-west-1\"."
  }
}
