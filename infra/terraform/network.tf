# Nodes and pods have no public address. They go out through one gateway, and to S3 past it, unpaid.
resource "aws_vpc" "nunatak" {
  cidr_block           = "10.77.0.0/16"
  enable_dns_support   = true
  enable_dns_hostnames = true
}

# A /22 each: Ray's certificate names every address that a pod may have.
resource "aws_subnet" "private" {
  for_each          = { for n, zone in var.zones : zone => n }
  vpc_id            = aws_vpc.nunatak.id
  availability_zone = each.key
  cidr_block        = cidrsubnet("10.77.0.0/16", 6, each.value)
}

resource "aws_subnet" "public" {
  vpc_id            = aws_vpc.nunatak.id
  availability_zone = var.zones[0]
  cidr_block        = "10.77.255.0/28"
}

resource "aws_internet_gateway" "nunatak" {
  vpc_id = aws_vpc.nunatak.id
}

resource "aws_eip" "outward" {
  domain = "vpc"
}

resource "aws_nat_gateway" "nunatak" {
  allocation_id = aws_eip.outward.id
  subnet_id     = aws_subnet.public.id
  depends_on    = [aws_internet_gateway.nunatak]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.nunatak.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.nunatak.id
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.nunatak.id
  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.nunatak.id
  }
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  for_each       = aws_subnet.private
  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.nunatak.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
}
