mock "tfconfig/v2" {
  module {
    source = "mock-tfconfig-none.sentinel"
  }
}

test {
  rules = {
    main = true
  }
}
