variable "name" {
  type        = string
  description = "Name of the role. Roles are global and the setting is not, so each Region needs another name."
  default     = "api-gateway-logs"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "name must be the name of a role: 1 to 64 letters, digits or the characters + = , . @ _ -."
  }
}

variable "path" {
  type        = string
  description = "Path of the role."
  default     = "/"
  nullable    = false

  validation {
    condition     = length(var.path) <= 512 && can(regex("^/([!-.0-~]+/)*$", var.path))
    error_message = "path must begin and end with a slash, like \"/platform/\"."
  }
}

variable "permissions_boundary_arn" {
  type        = string
  description = "ARN of the policy that bounds the role. Null means no boundary."
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be null or the ARN of an IAM policy, like \"arn:aws:iam::111122223333:policy/boundary\"."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of the role."
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.tags) <= 50 && alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags must be at most 50 tags whose keys do not start with \"aws:\", which AWS reserves."
  }

  validation {
    condition     = alltrue([for key, value in var.tags : length(key) <= 128 && try(length(value) <= 256, false) && can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]+$", key)) && can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]*$", value))])
    error_message = "tags must have keys of 1 to 128 characters and values of at most 256, all of them letters, digits, spaces or one of _ . : / = + - @, and none null."
  }

  validation {
    condition     = length(distinct([for key in keys(var.tags) : lower(key)])) == length(var.tags)
    error_message = "tags must not have keys that differ only in upper and lower case, which IAM takes for the same."
  }
}
