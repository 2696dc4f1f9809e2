variable "deletion_protection" {
  type        = bool
  description = "Whether DynamoDB refuses to delete the table. Turn it off in a separate apply before you destroy the table."
  default     = false
  nullable    = false
}

variable "existing_table" {
  type        = object({ arn = string })
  description = "Table of your own in place of one that this module makes, with the text keys `partition_key` and `sort_key`, and `expires_at` for TTL. All other variables have no effect then. Whether there is one must be known at plan."
  default     = null

  validation {
    condition     = var.existing_table == null || can(regex("^arn:[a-z0-9-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[a-zA-Z0-9_.-]{3,255}$", var.existing_table.arn))
    error_message = "existing_table must be null or have the arn of a DynamoDB table, like \"arn:aws:dynamodb:eu-central-1:111122223333:table/members\"."
  }
}

variable "kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the table. Null means the account's AWS managed key `aws/dynamodb`."
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
}

variable "name" {
  type        = string
  description = "Name of the table."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.name))
    error_message = "name must be a valid DynamoDB table name: 3 to 255 letters, digits, underscores, dots or hyphens."
  }
}

variable "point_in_time_recovery" {
  type        = bool
  description = "Whether the table can be restored to any second of the last 35 days."
  default     = true
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of the table."
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
