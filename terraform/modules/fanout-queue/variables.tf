variable "batch_size" {
  type        = number
  description = "Maximum messages per invocation of the function."
  default     = 10
  nullable    = false

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10 && floor(var.batch_size) == var.batch_size
    error_message = "batch_size must be a whole number of messages from 1 to 10."
  }
}

variable "dead_letter_retention_seconds" {
  type        = number
  description = "Seconds that SQS keeps a dead letter. They count from the first sending, so they must exceed `message_retention_seconds`."
  default     = 1209600
  nullable    = false

  validation {
    condition     = var.dead_letter_retention_seconds <= 1209600 && floor(var.dead_letter_retention_seconds) == var.dead_letter_retention_seconds
    error_message = "dead_letter_retention_seconds must be a whole number of seconds up to 1209600 (14 days)."
  }

  validation {
    condition     = var.dead_letter_retention_seconds > var.message_retention_seconds
    error_message = "dead_letter_retention_seconds must be more than message_retention_seconds."
  }
}

variable "fifo" {
  type        = bool
  description = "Whether the queue is FIFO: the messages of a group are served in order, one batch at a time. The sender sets a group id and a deduplication id for each message."
  default     = false
  nullable    = false
}

variable "function_arn" {
  type        = string
  description = "ARN of the function that serves the messages and reports failures (`batchItemFailures`). Its role needs permission to receive and delete messages and to read the queue's attributes."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[a-zA-Z0-9_-]+(:[a-zA-Z0-9$_-]+)?$", var.function_arn))
    error_message = "function_arn must be the ARN of a Lambda function, like \"arn:aws:lambda:eu-central-1:111122223333:function:worker\"."
  }
}

variable "function_timeout" {
  type        = number
  description = "Timeout of the function in seconds. An unfinished message is served again after six times as long."
  nullable    = false

  validation {
    condition     = var.function_timeout >= 1 && var.function_timeout <= 900 && floor(var.function_timeout) == var.function_timeout
    error_message = "function_timeout must be a whole number of seconds from 1 to 900."
  }
}

variable "kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the messages of both queues. Senders need `kms:GenerateDataKey` and `kms:Decrypt` on it, the function `kms:Decrypt`. Null means SQS's own key."
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
}

variable "max_receive_count" {
  type        = number
  description = "Number of times that a message is served before it becomes a dead letter. A throttled invocation counts, too."
  default     = 5
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 5 && var.max_receive_count <= 1000 && floor(var.max_receive_count) == var.max_receive_count
    error_message = "max_receive_count must be a whole number from 5 to 1000."
  }
}

variable "maximum_concurrency" {
  type        = number
  description = "Maximum invocations of the function at a time."
  default     = 10
  nullable    = false

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000 && floor(var.maximum_concurrency) == var.maximum_concurrency
    error_message = "maximum_concurrency must be a whole number from 2 to 1000."
  }
}

variable "message_retention_seconds" {
  type        = number
  description = "Seconds after which SQS drops a message that was not served."
  default     = 86400
  nullable    = false

  validation {
    condition     = var.message_retention_seconds >= 60 && floor(var.message_retention_seconds) == var.message_retention_seconds
    error_message = "message_retention_seconds must be a whole number of seconds from 60 upwards."
  }
}

variable "name" {
  type        = string
  description = "Name of the queue. The dead-letter queue adds `-dead-letters`; both end with `.fifo` if they are FIFO."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,62}$", var.name))
    error_message = "name must be 1 to 62 letters, digits, hyphens or underscores."
  }
}

variable "sender_principals" {
  type        = set(string)
  description = "Who may send to the queue besides principals of its account with a right of their own: accounts (12 digits), ARNs of roles or users, or services of AWS on behalf of the queue's account."
  default     = []
  nullable    = false

  validation {
    condition     = length(var.sender_principals) <= 20 && alltrue([for principal in var.sender_principals : can(regex("^([0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:(root|(role|user)/[A-Za-z0-9+=,.@_/-]{1,512})|[a-z0-9-]+([.][a-z0-9-]+)*[.]amazonaws[.]com([.]cn)?)$", principal))])
    error_message = "sender_principals must be at most 20 accounts (12 digits), ARNs of their roles or users, or services such as \"events.amazonaws.com\", and none null."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of the queues and the event source mapping."
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
