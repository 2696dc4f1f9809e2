resource "aws_iam_role" "this" {
  name                 = var.name
  description          = "Lets API Gateway write the logs of all APIs of the account."
  path                 = var.path
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Action    = "sts:AssumeRole"
      Effect    = "Allow"
      Principal = { Service = "apigateway.amazonaws.com" }
    }]
  })
}

# The policy that AWS names for this role; API Gateway refuses a role that lacks any of its rights.
# The partition is the role's, because data sources are unknown while the module waits for something by `depends_on`.
resource "aws_iam_role_policy_attachment" "this" {
  role       = aws_iam_role.this.name
  policy_arn = "arn:${split(":", aws_iam_role.this.arn)[1]}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "this" {
  cloudwatch_role_arn = aws_iam_role.this.arn

  # API Gateway tries to write a log when it is given the role.
  depends_on = [aws_iam_role_policy_attachment.this]
}
