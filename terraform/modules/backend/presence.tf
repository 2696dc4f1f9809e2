# Rooms that tell their members who comes and goes: functions that change members mark the room and send a delayed message
# to the function that looks at it. Without such rooms there is nothing.

locals {
  # Shown even if the caller marks the variable as sensitive, because the plan shows which objects there are.
  has_presence = nonsensitive(length(var.presence_rooms) > 0)

  # The first apply without such rooms keeps queue, function and rights, because functions change one after the other.
  presence_exists = nonsensitive(local.has_presence || local.presence_before)

  presence_queue_arn = local.presence_exists ? module.presence_queue[0].queue_arn : null

  presence_environment = local.presence_exists ? {
    ROOMCAST_PRESENCE_MAX_MEMBERS    = tostring(var.presence_max_members)
    ROOMCAST_PRESENCE_QUEUE_URL      = module.presence_queue[0].queue_url
    ROOMCAST_PRESENCE_ROOMS          = jsonencode(var.presence_rooms)
    ROOMCAST_PRESENCE_WINDOW_SECONDS = tostring(var.presence_window_seconds)
  } : {}

  # Functions that change the members of rooms, or tell clients of them.
  presence_functions = concat(
    ["presence"],
    local.has_presence ? ["connect", "disconnect", "fanout_worker", "join", "kick", "leave", "ping", "publish", "sendmessage", "sweeper", "who"] : [],
  )

  # As `use_queue_key`, for the queue of rooms.
  use_presence_key = local.presence_exists ? jsonencode({
    Sid      = "UsePresenceKey"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = "*"
    Condition = {
      StringEquals         = { "kms:ViaService" = "sqs.${split(":", module.connections_table.table_arn)[3]}.${local.dns_suffix}" }
      StringEqualsIfExists = { "kms:EncryptionContext:aws:sqs:arn" = local.presence_queue_arn }
    }
  }) : ""

  # Statements of each function that marks rooms, with a comma after them.
  mark_presence = local.presence_exists ? format("%s,\n%s,", jsonencode({
    Sid      = "MarkPresence"
    Effect   = "Allow"
    Action   = "sqs:SendMessage"
    Resource = local.presence_queue_arn
  }), local.use_presence_key) : ""
}

check "presence_is_removed" {
  assert {
    condition     = local.has_presence || !local.presence_exists
    error_message = "presence_rooms was emptied: from this apply on, no room tells who comes and goes. Apply again to remove the presence queue and its function."
  }
}

module "presence_queue" {
  source = "../fanout-queue"
  count  = local.presence_exists ? 1 : 0 # presence_rooms must be known at plan

  name             = "${var.name}-presence"
  batch_size       = 5 # few, because rooms of one batch are looked at one after the other
  function_arn     = aws_lambda_alias.readers["presence"].arn
  function_timeout = local.functions["presence"].timeout
  kms_key_arn      = var.queue_kms_key_arn
  tags             = var.tags
}
